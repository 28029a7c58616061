"""Reads a run of the C++ flow Types with Metaflow's own client and says what is not as a Python flow would have stored it.

usage: types_reader.py ROOT RUN STEP: prints a line for each wrong artifact; the last line is "numpy VERSION"."""

import datetime
import math
import struct
import sys

import metaflow
import numpy

UTC = datetime.timezone.utc


def same(actual, expected):
    """Equal, with equal types all the way down; True is not 1, 1.0 is not 1, -0.0 is not 0.0."""
    if type(actual) is not type(expected):
        return False
    if isinstance(expected, float):
        return struct.pack("d", actual) == struct.pack("d", expected) or (math.isnan(actual) and math.isnan(expected))
    if isinstance(expected, (list, tuple)):
        return len(actual) == len(expected) and all(map(same, actual, expected))
    if isinstance(expected, dict):
        return list(actual) == list(expected) and all(same(actual[key], expected[key]) for key in expected)
    if isinstance(expected, numpy.ndarray):
        return actual.dtype == expected.dtype and actual.shape == expected.shape and numpy.array_equal(actual, expected)
    return actual == expected


NUMBERS = {
    "yes": True,
    "no": False,
    "letter": 65,
    "int8_min": -(2**7),
    "uint8_max": 2**8 - 1,
    "int16_min": -(2**15),
    "uint16_max": 2**16 - 1,
    "int32_min": -(2**31),
    "int32_max": 2**31 - 1,
    "uint32_max": 2**32 - 1,
    "int64_min": -(2**63),
    "int64_max": 2**63 - 1,
    "uint64_max": 2**64 - 1,
    "minus_one": -1,
    "single": float(numpy.float32(0.1)),
    "real": 0.1,
    "largest": 1.7976931348623157e308,
    "smallest": 5e-324,
    "minus_zero": -0.0,
    "infinite": -math.inf,
    "complex": 1.5 - 2.5j,
    "single_complex": 0.5 + 0.25j,
    "colour": 7,
    "plain": -2,
}

SHAPE = {
    "title": "triangle",
    "corners": [{"x": 0.0, "y": 0.0}, {"x": 1.0, "y": 0.0}, {"x": 0.0, "y": 1.0}],
    "marks": {"centre": {"x": 0.25, "y": 0.25}, "none": None},
    "colour": 7,
}

EXPECTED = {
    "name": "Types",
    "flag": True,
    "number": -42,
    "large_number": 2**64 - 1,
    "single": 1.25,
    "real": 1e-300,
    "not_a_number": math.nan,
    "numbers": NUMBERS,
    "text": "plain, 'quoted', \"twice\", \\ and 日本語 🎉\n",
    "empty_text": "",
    "long_text": "x" * 70000,
    "text_with_zero": "a\0b",
    "path": "/data/raw.bin",
    "bytes": bytes(range(256)),
    "raw_bytes": b"\x00\xff",
    "integers": [1, -1, 2147483647],
    "reals": [0.5, -1e300],
    "texts": ["a", "", "ü"],
    "flags": [True, False, True],
    "rows": [[1, 2], [], [3]],
    "fixed": [1.0, 2.0, 3.0],
    "queue": ["first", "second"],
    "linked": [0.5, 0.25],
    "empty_list": [],
    "by_name": {"": 0.0, "pi": 3.14159},
    "by_number": {-1: [1], 7: []},
    "by_pair": {(1, True): "one", (2, False): "two"},
    "distinct": {1, 2, 3},
    "distinct_texts": {"x", "y"},
    "empty_set": set(),
    "empty_dict": {},
    "pair": (1, "one"),
    "tuple": (1, 2.5, "three", True),
    "nothing": None,
    "something": "here",
    "held_int": 17,
    "held_list": [1.0, 2.0],
    "colour": 7,
    "moment": datetime.datetime(2023, 11, 14, 22, 13, 20, 123456, tzinfo=UTC),
    "before_1970": datetime.datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    "duration": datetime.timedelta(hours=36),
    "fraction": datetime.timedelta(seconds=0.25),
    "negative": datetime.timedelta(microseconds=-1),
    "point": {"x": 1.0, "y": -1.0},
    "shape": SHAPE,
    "money": (1999, "cents"),
    "grid": numpy.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]),
    "line": numpy.array([0.5, 1.5], dtype=numpy.float32),
    "cube": numpy.array([[[0, 0], [0, 0]], [[0, 0], [0, -7]]], dtype=numpy.int32),
    "image": numpy.array([0, 255], dtype=numpy.uint8),
    "mask": numpy.array([True, False]),
    "arrays": {
        "int8": numpy.array([-128, 127], dtype=numpy.int8),
        "int16": numpy.array([-32768, 32767], dtype=numpy.int16),
        "uint16": numpy.array([0, 65535], dtype=numpy.uint16),
        "uint32": numpy.array([0, 2**32 - 1], dtype=numpy.uint32),
        "uint64": numpy.array([0, 2**64 - 1], dtype=numpy.uint64),
        "complex": numpy.array([0.5 - 1j], dtype=numpy.complex64),
        "ragged": [numpy.array([1.0, 2.0]), numpy.array([3.0])],
    },
    "spectrum": numpy.array([1 + 2j, 3 - 4j]),
    "no_elements": numpy.array([], dtype=numpy.int64),
    "lazy": ["late", "later"],
    "constant": [1, 2, 3],
    "parameter": 5,
}


def main(root, run, step):
    metaflow.metadata("local@" + root)
    metaflow.namespace(None)
    task = metaflow.Run("Types/" + run)[step].task
    artifacts = {artifact.id: artifact.data for artifact in task}
    unordered = artifacts.pop("unordered_names")
    if type(unordered) is not dict or unordered != {"a": 1, "b": 2}:
        print("unordered_names", unordered)
    if sorted(artifacts) != sorted(EXPECTED):  # the Transient is not there
        print("other artifacts", sorted(artifacts))
    for name, expected in EXPECTED.items():
        if not same(artifacts[name], expected):
            print(name, type(artifacts[name]), repr(artifacts[name])[:200])
    grid = artifacts["grid"]
    if not (grid.flags.c_contiguous and grid.flags.writeable):
        print("grid", grid.flags)
    grid[0, 0] = 9
    if grid.sum() != 29:
        print("grid", grid)
    print("numpy", numpy.__version__)


if __name__ == "__main__":
    main(*sys.argv[1:])
