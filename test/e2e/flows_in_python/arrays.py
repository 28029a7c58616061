"""Arrays of every kind, changed in place by the tasks that load them."""

import numpy as np

from metaflow_cpp import FlowSpec, step


class Arrays(FlowSpec):
    @step
    def start(self):
        self.rows = np.arange(100_000.0).reshape(100, 1000)
        self.columns = np.asfortranarray(self.rows)
        self.numbers = np.arange(50_000, dtype="i4")
        self.flags = np.ones(100_000, dtype=bool)
        self.complex = np.ones(10_000, dtype=complex)
        # These are pickled.
        self.big_endian = np.arange(100_000, dtype=">f8")
        self.strided = np.arange(200_000.0)[::2]
        self.objects = np.array([{"a": 1}] * 20_000, dtype=object)
        self.dates = np.arange(20_000).astype("M8[s]")
        self.masked = np.ma.masked_array(np.arange(100_000.0), mask=False)
        self.empty, self.scalar, self.small = np.zeros((0, 5)), np.float64(3), np.arange(3)
        self.items = [0, 1, 2]
        self.next(self.work, foreach="items")

    @step
    def work(self):
        for array in (self.rows, self.columns, self.numbers):
            assert array.flags.writeable and array.flags.aligned and array.__array_interface__["data"][0] % 64 == 0
        assert self.columns.flags.f_contiguous and not self.columns.flags.c_contiguous
        self.rows[0, 0] = self.input + 1
        self.columns[1, 0] = -1
        self.same = self.numbers
        assert self.flags[0]  # read, not written
        self.complex.shape = (100, 100)  # the elements are those in the store, the array is another one
        self.next(self.join)

    @step
    def join(self, inputs):
        rows = [each.rows for each in inputs]
        rows[0][0, 1] = 77
        self.firsts, self.seconds = [float(each[0, 0]) for each in rows], [float(each[0, 1]) for each in rows]
        numbers = [each.numbers for each in inputs]  # one value in the store, three arrays here
        numbers[0][0] = 5
        self.begins = [int(each[0]) for each in numbers]
        self.merge_artifacts(inputs, exclude=["rows"])
        self.next(self.end)

    @step
    def end(self):
        assert self.complex.shape == (100, 100)
        assert self.same.sum() == self.numbers.sum() == 1249975000 and self.flags.all()


if __name__ == "__main__":
    Arrays()
