"""A step that does what --how says."""

import os
import signal
import threading
import time

from metaflow_cpp import FlowSpec, Parameter, catch, step


def load():
    raise ValueError("it cannot be loaded")


class Unloadable:
    def __reduce__(self):
        return load, ()


class Trouble(FlowSpec):
    how = Parameter("how", default="nothing")

    @step
    def start(self):
        self.before = "set"
        if not os.environ.get("WELL"):
            getattr(self, "do_" + self.how)()
        self.next(self.end)

    def do_nothing(self):
        pass

    def do_throw(self):
        raise KeyError("a\nkey")

    def do_chain(self):
        try:
            raise KeyError("inner")
        except KeyError as error:
            raise RuntimeError("outer") from error

    def do_fork(self):
        self.which = "task"
        self.child = os.fork()
        if self.child == 0:
            self.which = "copy"
        else:
            os.waitpid(self.child, 0)

    def do_bad_text(self):
        class Textless(Exception):
            def __str__(self):
                raise RuntimeError("no text")

        raise Textless

    def do_base(self):
        raise BaseException("not an Exception")

    def do_exit_well(self):
        raise SystemExit(0)

    def do_unloadable(self):
        self.before = Unloadable()

    def do_exit(self):
        raise SystemExit(3)

    def do_kill(self):
        os.kill(os.getpid(), signal.SIGKILL)

    def do_lock(self):
        self.lock = threading.Lock()

    def do_sleep(self):
        time.sleep(1000)

    def do_parameter(self):
        self.how = "other"

    def do_missing(self):
        print(self.nothing_of_this_name)

    def do_memory(self):
        import numpy

        numpy.random.ranf((80000, 80000))

    @catch(var="problem")
    @step
    def end(self):
        print("before", self.before)
        if os.environ.get("CATCH"):
            raise ValueError("caught")


if __name__ == "__main__":
    Trouble()
