"""Stores that are damaged, full or read-only: each is reported, and no wrong result is used."""

import gzip
import json
import os
import pathlib
import re
import sys

import pytest
from conftest import SANITIZED
from test_failures import processes_of


# --- damaged stores


def files_of(cli, run, step):
    return cli.directory / ".metaflow" / "Sweep" / run / step


def blob_of(cli, run, task, artifact):
    data = json.loads((files_of(cli, run, task) / "0.data.json").read_text())
    key = data["objects"][artifact]
    return cli.directory / ".metaflow" / "Sweep" / "data" / key[:2] / key


def flip(path):
    """Flips the bits of the first opcode. A changed number could not be detected."""
    content = bytearray(path.read_bytes())
    content[2] ^= 0xFF
    path.write_bytes(content)


def cut(path):
    path.write_bytes(path.read_bytes()[:-3])


def version_2(path):
    path.write_text(path.read_text().replace('"version": "1.0"', '"version": "2.0"'))


DAMAGED_BLOBS = {
    "missing": (pathlib.Path.unlink, "blob .* is missing"),
    "empty": (lambda blob: blob.write_bytes(b""), "blob .* has 0 bytes, not|truncated"),
    "cut off": (cut, "blob .* has .* bytes, not|truncated"),
    "flipped": (flip, "opcode 0x.. is not supported"),
    "not a pickle": (lambda blob: blob.write_bytes(b"x" * len(blob.read_bytes())), "Cannot read a pickled value"),
    "not gzip": (lambda blob: blob.write_bytes(b"\x1f\x8b" + b"x" * 20), "A gzip blob is damaged"),
    "gzip, cut off": (lambda blob: blob.write_bytes(gzip.compress(b"x" * 8)[:-9]), "A gzip blob is damaged: it is truncated"),
}

DAMAGED_DATA = {
    "missing": (pathlib.Path.unlink, "No completed attempts|not finished|not in the store"),
    "empty": (lambda path: path.write_text(""), "0.data.json' is damaged"),
    "cut off": (cut, "0.data.json' is damaged"),
    "list": (lambda path: path.write_text("[]"), "0.data.json' is damaged"),
    "other": (lambda path: path.write_text('{"objects": 1}'), "0.data.json' is damaged"),
    "no key": (lambda path: path.write_text('{"objects": {"x": "zz"}, "info": {}}'), "0.data.json' is damaged: the key of 'x' is invalid"),
    "deep": (lambda path: path.write_text("[" * 1_000_000), "0.data.json' is damaged"),
    "later version": (version_2, "has version 2.0 of the format; this program reads versions 1.x"),
}


@pytest.mark.parametrize("damage, words", DAMAGED_DATA.values(), ids=DAMAGED_DATA)
def test_damaged_data_json(cli, damage, words):
    run = cli.run("sweep")
    damage(files_of(cli, run, "end/11") / "0.data.json")
    result = cli("sweep", "dump", f"{run}/end")
    assert result.status == 1 and re.search(words, result.err), result


@pytest.mark.parametrize("damage, words", DAMAGED_BLOBS.values(), ids=DAMAGED_BLOBS)
def test_damaged_blob(cli, damage, words):
    run = cli.run("sweep")
    damage(blob_of(cli, run, "end/11", "best"))
    result = cli("sweep", "dump", f"{run}/end")
    assert result.status == 1 and re.search(words, result.err) and "'best'" in result.err, result
    _, result = cli.fail("reader", "--pathspec", f"Sweep/{run}/end", "--artifact", "best")
    assert re.search(words, result.out) and "'best'" in result.out, result
    # What is whole is still read.
    assert cli("sweep", "dump", "--include", "best_alpha", f"{run}/end").status == 0


DAMAGE_PY = """
import json, pathlib, sys
sys.path.insert(0, {directory!r})
import test_damage as t
run, = [p for p in pathlib.Path(".metaflow/Damage").iterdir() if p.name.isdigit()]
path = run / "work/2/0.data.json"
if {what!r} == "blob":
    key = json.loads(path.read_text())["objects"]["result"]
    path = run.parent / "data" / key[:2] / key
getattr(t, {table!r})[{name!r}][0](path)
"""


@pytest.mark.parametrize("what, name", [("blob", n) for n in DAMAGED_BLOBS] + [("data", n) for n in DAMAGED_DATA])
def test_damage_before_a_join(cli, what, name):
    """What the first task stored is damaged while the second runs; the join says so."""
    table = "DAMAGED_BLOBS" if what == "blob" else "DAMAGED_DATA"
    script = cli.directory / "damage.py"
    script.write_text(DAMAGE_PY.format(directory=str(pathlib.Path(__file__).parent), what=what, table=table, name=name))
    env = {"METAFLOW_BUILD": os.environ["METAFLOW_BUILD"]}
    _, result = cli.fail("damage", "--max-workers", 1, "--command", f"{sys.executable} -B {script}", env=env)
    words = globals()[table][name][1]
    assert re.search(words, result.out + result.err), result
    assert what == "data" or "'result'" in result.out, result
    assert "work/2" in result.out + result.err, result


@pytest.mark.parametrize("content", ["", "{", "[]", '{"ts_epoch": "x", "tags": {"a": 1}, "value": ' + "[" * 100_000 + "]" * 100_000 + "}"])
@pytest.mark.parametrize("name", ["_self.json", "0_artifact_best.json", "sysmeta_attempt-done_*.json"])
def test_damaged_metadata(cli, name, content):
    run = cli.run("sweep")
    (path,) = files_of(cli, run, "end/11").joinpath("_meta").glob(name)
    path.write_text(content)
    result = cli("reader", "run", "--pathspec", f"Sweep/{run}/end", "--artifact", "best")
    assert result.status in (0, 1), result
    if result.status == 1:
        assert "_meta/" + path.name + "' is damaged" in result.out or "has no artifact 'best'" in result.out, result


def test_an_empty_blob_is_written_again(cli, client):
    """A power loss can leave an empty file; the next run with the same value must not trust it."""
    run = cli.run("sweep")
    blob_of(cli, run, "end/11", "best").write_bytes(b"")
    cli.run("sweep")
    assert client.Run(f"Sweep/{run}").data.best < 0


def test_read_only_directory(cli):
    if os.geteuid() == 0:
        result = cli("sweep", "run", env={"METAFLOW_DATASTORE_SYSROOT_LOCAL": "/proc"})  # root may write anywhere else
    else:
        cli.directory.chmod(0o500)
        result = cli("sweep", "run")
    assert result.status == 1
    assert re.search(r"Data store error:\n    Cannot create the directory '.*':", result.err), result


def test_full_disk(cli):
    """A limit on the size of files stands in for a full disk."""
    import resource

    result = cli("misbehave", "run", "--how", "well", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)))
    assert result.status == 1
    assert "Data store error:" in result.err and ("File too large" in result.err), result


def test_odd_directory_names(cli, client):
    odd = cli.directory / 'a "b\' c\\ ü;$x'
    odd.mkdir()
    cli.directory = odd
    run = cli.run("sweep", env={"METAFLOW_DATASTORE_SYSROOT_LOCAL": str(odd)})
    client.metadata(f"local@{odd}")
    assert client.Run(f"Sweep/{run}").successful
    pattern = odd / "x[1]"
    pattern.mkdir()
    cli.directory = pattern
    result = cli("sweep", "run", env={"METAFLOW_DATASTORE_SYSROOT_LOCAL": str(pattern)})
    assert result.status == 1 and "contains '['" in result.err


@pytest.mark.skipif(SANITIZED, reason="the sanitizer itself needs file descriptors")
def test_few_file_descriptors(cli):
    import resource

    def with_limit(number):
        return cli("sweep", "run", "--n", "40", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (number, number)))

    result = with_limit(24)
    assert result.status == 0, "tasks wait until there is room"
    result = with_limit(16)
    assert result.status == 1 and "Too many open files" in result.err + result.out, result
    assert processes_of(cli.directory) == []
