"""One artifact of every type that C++ reads, as Python stores them. The C++ flow of the same name looks at them.

PICKLE_PROTOCOL in the environment: the protocol to pickle with instead of Metaflow's own choice."""

import collections
import datetime
import os
import pathlib
import pickle

import numpy
from metaflow import FlowSpec, step

if "PICKLE_PROTOCOL" in os.environ:
    pickle_with = pickle.dumps
    pickle.dumps = lambda value, protocol=None: pickle_with(value, int(os.environ["PICKLE_PROTOCOL"]))


class Own:
    pass


Pair = collections.namedtuple("Pair", "first second")


class Foreign(FlowSpec):
    @step
    def start(self):
        grid = numpy.arange(6.0).reshape(2, 3)
        shared = [0.5, 1.5]
        self.flag = True
        self.nothing = None
        self.number = -42
        self.large_number = 2**63 - 1
        self.unsigned_number = 2**64 - 1
        self.real = 0.1
        self.not_a_number = float("nan")
        self.whole = 3
        self.complex = 1 - 2j
        self.text = "日本語 🎉\0\n"
        self.bytes = bytes(range(256))
        self.byte_array = bytearray(b"\xff\0")
        self.integers = [1, -1, 2**40]
        self.many = list(range(3000))
        self.reals = [0.5, -1e300]
        self.mixed = [1, 2.5]
        self.texts = ["a", "", "ü"]
        self.flags = [True, False]
        self.rows = [[1, 2], [], [3]]
        self.table = {"a": [1, 2], "b": []}
        self.by_number = {1: {"x": None, "y": 0.5}}
        self.by_pair = {(1, "a"): 2.0}
        self.distinct = {3, 1, 2}
        self.frozen = frozenset({"x", "y"})
        self.triple = (1, "two", 3.0)
        self.ordered = collections.OrderedDict([("b", 2), ("a", 1)])
        self.counts = collections.Counter("aab")
        self.defaults = collections.defaultdict(list, x=[1])
        self.moment = datetime.datetime(2023, 11, 15, 0, 13, 20, 123456, datetime.timezone(datetime.timedelta(hours=2)))
        self.naive = datetime.datetime(2023, 11, 14, 22, 13, 20, 123456)
        self.day = datetime.date(1969, 12, 31)
        self.length = datetime.timedelta(days=-1, microseconds=1)
        self.path = pathlib.PurePosixPath("/data") / "raw.bin"
        self.point = {"x": 1.0, "y": -1}
        self.shared = [shared, shared]
        self.grid = grid
        self.column_major = numpy.asfortranarray(grid)
        self.turned = numpy.arange(24, dtype="i4").reshape(2, 3, 4).transpose(2, 0, 1)
        self.strided = grid[:, ::-2]
        self.big_endian = grid.astype(">f4")
        self.mask = numpy.array([True, False])
        self.image = numpy.array([0, 255], dtype="u1")
        self.spectrum = numpy.array([1 + 2j, 3 - 4j], dtype="c8")
        self.half = numpy.array([0.5, -2], dtype="f2")
        self.no_elements = numpy.zeros((0, 3))
        self.array_as_list = numpy.array([1, 2, 3])
        self.array_as_rows = grid
        self.list_as_array = [[1.0, 2.0], [3.0, 4.0]]
        self.array_of_texts = numpy.array(["a", "日本", ""])
        self.single_element = numpy.array(5)
        self.np_real = numpy.float64(0.1)
        self.np_single = numpy.float32(0.5)
        self.np_integer = numpy.int64(-7)
        self.np_byte = numpy.uint8(255)
        self.np_flag = numpy.bool_(True)
        self.np_text = numpy.str_("text")
        self.np_complex = numpy.complex128(1 - 2j)
        self.np_in_list = [numpy.float64(0.5), numpy.float64(1.5)]
        self.lazy = ["late", "later"]
        self.next(self.end)

    @step
    def end(self):
        self.own = [Own()]
        self.pair = Pair(1, 2)
        self.ellipsis = ...
        self.time_of_day = datetime.time(12)
        self.objects = numpy.array([1, "a"], dtype=object)
        self.records = numpy.zeros(2, dtype=[("x", "f8")])
        self.big = 2**64
        self.function = os.getcwd


if __name__ == "__main__":
    Foreign()
