"""Every shape of a graph in one flow, for the tests that kill it: as test/flows/chaos.cc. Every task notes that it was executed, outside of the
store: a line "RUN STEP PLACE PASS" in the file METAFLOW_CHAOS_LOG."""

import os
import subprocess
import sys

from metaflow_cpp import FlowSpec, current, parallel_map, step


def note(flow, number=0):
    path = os.environ.get("METAFLOW_CHAOS_LOG")
    if path is None:
        return
    place = "".join(f"{index}," for index, _, _ in flow.foreach_stack())
    with open(path, "ab", buffering=0) as log:
        log.write(f"{current.run_id} {current.step_name} {place} {number}\n".encode())


class Chaos(FlowSpec):
    @step
    def start(self):
        note(self)
        print("begins")
        self.series = [0.5 * i for i in range(1000)]
        self.next(self.outer, self.one, self.pick)

    @step
    def outer(self):
        note(self)
        self.rows = ["a", "b"]
        self.next(self.inner, foreach="rows")

    @step
    def inner(self):
        note(self)
        self.row = self.input
        self.columns = [1, 2, 3]
        self.next(self.cell, foreach="columns")

    @step
    def cell(self):
        note(self)
        self.cell_text = self.row + str(self.input)
        print("cell", self.cell_text)
        self.next(self.join_cells)

    @step
    def join_cells(self, inputs):
        note(self)
        self.row_texts = [each.cell_text for each in inputs]
        self.row = inputs[0].row
        self.next(self.join_rows)

    @step
    def join_rows(self, inputs):
        note(self)
        self.table = {each.row: each.row_texts for each in inputs}
        self.next(self.join_all)

    @step
    def one(self):
        note(self)
        if "METAFLOW_CHAOS_LOG" in os.environ:  # a process that outlives its task: nothing that a scheduler left may go on
            subprocess.Popen(["sleep", "1000"], start_new_session=True, stdout=sys.stdout, stderr=sys.stderr)
        self.next(self.left, self.right)

    @step
    def left(self):
        note(self)
        self.left_value = sum(parallel_map(lambda number: number, [3, 4], max_parallel=2))
        self.next(self.join_branch)

    @step
    def right(self):
        note(self)
        self.next(self.deep_a, self.deep_b)

    @step
    def deep_a(self):
        note(self)
        self.deep_value = 0.25
        self.next(self.join_deep)

    @step
    def deep_b(self):
        note(self)
        self.deep_value = 0.5
        self.next(self.join_deep)

    @step
    def join_deep(self, inputs):
        note(self)
        self.depths = [each.deep_value for each in inputs]
        self.next(self.join_branch)

    @step
    def join_branch(self, inputs):
        note(self)
        self.branch_value = inputs.left.left_value + sum(inputs.join_deep.depths)
        self.next(self.join_all)

    @step
    def pick(self):
        note(self)
        self.parity = "odd"
        self.next({"even": self.even, "odd": self.odd}, condition="parity")

    @step
    def even(self):
        note(self)
        self.chosen, self.passes = "even", 0
        self.next(self.count)

    @step
    def odd(self):
        note(self)
        self.chosen, self.passes = "odd", 0
        self.next(self.count)

    @step
    def count(self):
        note(self, self.passes)
        self.passes += 1
        self.counted = self.passes == 3
        self.next({False: self.count, True: self.fan}, condition="counted")

    @step
    def fan(self):
        note(self)
        self.heights = [1, 2, 3]
        self.next(self.climb, foreach="heights")

    @step
    def climb(self):
        note(self)
        self.height, self.falls, self.trail = self.input, 0, ""
        self.next(self.descend)

    @step
    def descend(self):
        note(self, self.falls)
        self.falls += 1
        self.trail += str(self.height)
        self.height -= 1
        self.landed_yet = self.height == 0
        self.next({False: self.descend, True: self.land}, condition="landed_yet")

    @step
    def land(self):
        note(self)
        self.next(self.join_trails)

    @step
    def join_trails(self, inputs):
        note(self)
        self.trails = [each.trail for each in inputs]
        self.chosen = inputs[0].chosen
        self.next(self.join_all)

    @step
    def join_all(self, inputs):
        note(self)
        self.table = inputs.join_rows.table
        self.branch_value = inputs.join_branch.branch_value
        self.trails, self.chosen = inputs.join_trails.trails, inputs.join_trails.chosen
        self.next(self.end)

    @step
    def end(self):
        note(self)
        self.summary = self.chosen + str(self.branch_value) + self.table["b"][2] + self.trails[2]
        print("ends")


if __name__ == "__main__":
    Chaos()
