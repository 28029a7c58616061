"""The code of docs/how-to: test_python_guides.py checks that each fragment there is in this file."""

from concurrent.futures import ThreadPoolExecutor

import numpy

from metaflow_cpp import FlowSpec, IncludeFile, Parameter, current, local, parallel_map, resources, retry, step


def download(name):
    """Fails once, then succeeds; a file that is gone stays gone."""
    if name == "gone":
        raise ValueError("no such file: gone")
    if current.retry_count < 1:
        raise RuntimeError("the server is busy")
    return name


def value_of(i):
    return i % 10


class Guides(FlowSpec):
    """The fragments of the guides."""

    content = IncludeFile("file", is_text=False, required=True, help="The file to read.")
    source = Parameter("source", default="here", help="What to fetch.")
    rows = Parameter("rows", default=100, help="Rows of the array.")

    @local
    @step
    def start(self):
        self.next(self.fetch)

    @retry(times=3, minutes_between_retries=0)
    @step
    def fetch(self):
        self.has_data = False
        try:
            self.fetched = download(self.source)
            self.has_data = True
        except ValueError as error:  # will not pass
            self.missing = str(error)
        self.next({True: self.fill, False: self.skip}, condition="has_data")

    @step
    def skip(self):
        print("Skipped:", self.missing)
        self.total = 0
        self.next(self.end)

    @step
    def fill(self):
        columns = 1000
        prices = numpy.empty((self.rows, columns))

        def fill_row(row):
            prices[row] = value_of(numpy.arange(columns))

        with ThreadPoolExecutor() as threads:
            list(threads.map(fill_row, range(self.rows)))
        self.prices = prices
        self.values = parallel_map(value_of, range(self.rows))
        self.blocks = list(range(0, self.rows, 25))
        self.next(self.add, foreach="blocks")

    @resources(cpu=2, memory=1000)
    @local
    @step
    def add(self):
        block = self.prices[self.input : self.input + 25]  # a view of the mapped file
        self.sum = float(block.sum())
        self.next(self.combine)

    @step
    def combine(self, inputs):
        self.total = sum(i.sum for i in inputs)
        self.merge_artifacts(inputs, include=["prices"])
        self.next(self.end)

    @step
    def end(self):
        print(f"{len(self.content)} bytes, {self.total:.0f} in all")


if __name__ == "__main__":
    Guides()
