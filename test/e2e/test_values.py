"""Values of every type, both ways: C++ to C++, C++ to Metaflow's own client, Python to C++, with numpy 1 and with numpy 2."""

import os
import sys

import pytest

from conftest import PYTHON_FLOWS


def python_of(numpy):
    """The interpreter that has this numpy. Without the one for numpy 1 the tests fail; they are not skipped."""
    if numpy == "2":
        return sys.executable
    python = os.environ.get("METAFLOW_PYTHON_NUMPY1")
    assert python, "The CMake variable METAFLOW_PYTHON_NUMPY1 names no Python that has numpy before 2"
    return python


@pytest.mark.parametrize("numpy", ["1", "2"])
def test_cpp_to_python(cli, numpy):
    """The C++ `end` has compared what it got from the process of `start`."""
    run = cli.run("types")
    for step in ("start", "end"):
        result = cli.execute([python_of(numpy), "-B", PYTHON_FLOWS / "types_reader.py", cli.directory, run, step])
        assert result.status == 0 and len(result.out.splitlines()) == 1, result
        assert result.out.startswith(f"numpy {numpy}."), result


def test_sizes_and_types_for_the_python_dump(cli, client):
    """What `dump` of Python shows without reading a value: size and type."""
    run = cli.run("types")
    result = cli.python("types", "dump", "--max-value-size", 60, f"{run}/end")
    assert result.status == 0, result
    lines = result.out.splitlines()
    assert "number [size: 8 type: <class 'int'>] = -42" in lines
    assert "long_text [size: 70008 type: <class 'str'>] = < artifact too large >" in lines
    assert any(line.startswith("grid [size: ") and "type: <class 'numpy.ndarray'>" in line for line in lines)
    task = client.Task(f"Types/{run}/end/2")
    assert task["long_text"].size == 70008


# --- what Python stored


@pytest.mark.parametrize("numpy, protocol", [("1", None), ("2", None), ("2", 2), ("1", 5)])
def test_python_to_cpp(cli, numpy, protocol):
    """The blobs of the Python flow are packed with gzip. The C++ flow compares in `end`."""
    env = {"PICKLE_PROTOCOL": str(protocol)} if protocol else {}
    run = cli.run_python("foreign", interpreter=python_of(numpy), env=env)
    # By the client library:
    cli.run("foreign", "--run", run)
    # As the input of a task:
    step = ["step", "end", "--run-id", run, "--task-id", 9, "--input-paths", f"{run}/start/1"]
    result = cli("foreign", "--datastore-root", cli.directory / ".metaflow", *step)
    assert result.status == 0, result
    # On the command line:
    result = cli("foreign", "dump", "--max-value-size", 300, f"{run}/start")
    assert result.status == 0, result
    for name, text in DUMPED.items():
        assert any(line.startswith(name + " [size: ") and text in line for line in result.out.splitlines()), (name, result)


DUMPED = {
    "complex": "type: <class 'complex'>] = (1-2j)",
    "defaults": "type: <class 'collections.defaultdict'>] = {'x': [1]}",
    "frozen": "type: <class 'frozenset'>] = {",
    "large_number": "] = 9223372036854775807",
    "moment": "] = datetime.datetime(2023, 11, 14, 22, 13, 20, 123456, tzinfo=datetime.timezone.utc)",
    "np_single": "type: <class 'numpy.float32'>] = 0.5",
    "column_major": "type: <class 'numpy.ndarray'>] = array([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]], shape=(2, 3))",
    "text": "] = 日本語 🎉",
}

UNREADABLE = {
    "own": "it refers to the Python class or function '__main__.Own'",
    "pair": "it refers to the Python class or function '__main__.Pair'",
    "time_of_day": "it refers to the Python class or function 'datetime.time'",
    "ellipsis": "it refers to the Python class or function 'builtins.Ellipsis'",
    "function": "it refers to the Python class or function 'posix.getcwd'",
    "objects": "numpy arrays of objects are not supported",
    "records": "numpy arrays of type 'V8' are not supported",
}


def test_what_cpp_cannot_read(cli):
    """Programs get an error with its name and what it is. `dump` goes on."""
    run = cli.run_python("foreign")
    for name, words in UNREADABLE.items():
        _, by_client = cli.fail("reader", "--pathspec", f"Foreign/{run}/end", "--artifact", name)
        assert words in by_client.out + by_client.err and f"artifact '{name}'" in by_client.out + by_client.err, by_client
        by_dump = cli("foreign", "dump", "--include", name, f"{run}/end")
        assert by_dump.status == 0 and by_dump.out.endswith("= < only Python can read it >\n"), by_dump
    assert cli("foreign", "dump", "--include", "big", f"{run}/end").out.endswith("= 18446744073709551616\n")
