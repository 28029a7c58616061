"""S3 for flows in Python: the same results as the official client, which reads what ours writes and the other way round; errors; forks."""

import contextlib
import gzip
import importlib
import io
import json
import os
import pickle
import sys
import types

import pytest

import s3 as servers
from conftest import BUILD, SANITIZED
from python_cli import ROOT
from test_s3 import server  # noqa: F401

pytestmark = pytest.mark.skipif(SANITIZED, reason="an instrumented library cannot be loaded into an interpreter that is not")

# Writes objects below a root, or reads those of another one, and prints what the client returned. Times and paths are left out.
TOUR = """
import io, json, os, sys
module, work, root = sys.argv[1:]
if module == "metaflow":
    from metaflow.plugins.datatools.s3 import S3, S3GetObject, S3PutObject
else:
    from metaflow_cpp.s3 import S3, S3GetObject, S3PutObject

def facts(found):
    if isinstance(found, list):
        return [facts(each) for each in found]
    assert not found.downloaded or os.path.exists(found.path)
    return {
        **{name: getattr(found, name) for name in ("key", "url", "prefix", "size", "exists", "downloaded", "has_info", "metadata", "content_type",
                                                   "encryption", "text")},
        "blob": None if found.blob is None else found.blob.hex()[:100], "range": found.range_info and list(found.range_info),
        "modified": found.last_modified and found.last_modified // 100_000,
        # To the official client, an empty object does not exist here.
        "str": None if found.size == 0 else str(found),
    }

def attempt(action):
    try:
        return action()
    except Exception as error:
        return type(error).__name__

out = {}
with S3(s3root=root) as s3:
    if work == "write":
        with open("local", "wb") as file:
            file.write(b"local" * 100)
        out["put"] = s3.put("a/text", "h\\u00e4llo", content_type="text/plain", metadata={"who": "\\u00e4da", "n": {"x": [1]}})
        out["bytes"] = s3.put("a/b/bytes", bytes(range(256)))
        out["empty"] = s3.put("empty", "")
        out["slash"] = s3.put("/slash", "1")
        out["names"] = [s3.put(name, name) for name in ("bl ank", "per%20cent", "plus+", "\\u00fcml\\u00e4ut/\\u65e5\\u672c", "a#b", "a&b=c")]
        out["file"] = s3.put("file", io.BytesIO(b"from a file"))
        out["kept"] = s3.put("file", "other", overwrite=False)
        out["many"] = s3.put_many([("m/1", "one"), ("m/2", b"two"), S3PutObject("m/3", "three", None, "text/csv", None, {"a": "b"}),
                                   ("m/4", io.BytesIO(b"four"))])
        out["some"] = s3.put_many([("m/1", "other"), ("m/5", "five")], overwrite=False)
        out["files"] = s3.put_files([("f/1", "local"), S3PutObject("f/2", None, "local", "text/csv", None, {"a": 1})])
        out["nothing"] = [s3.put_many([]), s3.put_files([]), s3.get_many([]), s3.list_paths([])]
        out["errors"] = [attempt(action) for action in (lambda: s3.put("x", 5), lambda: s3.put("x", None), lambda: s3.put_files([("x", "no file")]),
                                                        lambda: s3.put("s3://runs/x", "1"), lambda: s3.put_many([("x", 5)]))]
    else:
        out["get"] = [facts(s3.get(key)) for key in ("a/text", "a/b/bytes", "empty", "slash", "bl ank", "per%20cent", "plus+",
                                                     "\\u00fcml\\u00e4ut/\\u65e5\\u672c", "a#b", "a&b=c", "file", "/m/3")]
        out["plain"] = facts(s3.get("a/text", return_info=False))
        out["missing"] = facts(s3.get("nothing", return_missing=True))
        out["ranges"] = [facts(s3.get(S3GetObject("a/b/bytes", *part))) for part in ((0, 10), (200, 100), (250, None), (None, 3), (None, -4))]
        out["many"] = facts(s3.get_many(["m/2", "m/1", S3GetObject("m/3", 1, 2)]))
        out["many missing"] = facts(s3.get_many(["m/2", "no"], return_missing=True, return_info=False))
        out["recursive"] = facts(s3.get_recursive(["m", "a/", "em"]))
        out["all"] = facts(s3.get_all(return_info=True))
        out["info"] = facts([s3.info("a/text"), s3.info("f/2"), s3.info("no", return_missing=True)])
        out["infos"] = facts(s3.info_many(["m/3", "no", "m/1"], return_missing=True))
        out["list"] = facts(s3.list_paths()), facts(s3.list_paths(["a", "m/"])), facts(s3.list_paths(["no"]))
        out["list all"] = facts(s3.list_recursive()), facts(s3.list_recursive(["m", "a/b"]))
        out["errors"] = [attempt(action) for action in (
            lambda: s3.get("no"), lambda: s3.info("no"), lambda: s3.get_many(["m/1", "no"]), lambda: s3.info_many(["no"]),
            lambda: s3.get(S3GetObject("a/text", 100, 5)), lambda: s3.get("s3://runs/a"))]
with S3() as s3:
    out["url"] = facts(s3.list_recursive([root + "/m"])), [attempt(action) for action in (lambda: s3.get("a"), lambda: s3.get("http://x/y"),
                                                                                        lambda: s3.get_all(), lambda: s3.list_paths())]
    if work == "read":
        out["by url"] = facts(s3.get(root + "/a/text")), facts(s3.get_many([root + "/m/1"])), facts(s3.info(root + "/m/1"))
out["construction"] = [attempt(lambda: S3(s3root="http://x")), attempt(lambda: S3(run=5))]
print("RESULT" + json.dumps(out))
"""


@pytest.fixture
def place(server, cli, monkeypatch):  # noqa: F811
    """A root in S3, and the settings with which this process and commands reach it."""
    root = f"s3://runs/{cli.directory.name}"
    variables = {
        **server.environment,
        "PYTHONPATH": str(ROOT / "python"),
        "METAFLOW_ENGINE_DIRECTORY": str(BUILD / "python/metaflow_cpp/native"),
        "METAFLOW_DATASTORE_SYSROOT_S3": root,
        "METAFLOW_S3_RETRY_COUNT": "1",
        "METAFLOW_S3_TRANSIENT_RETRY_COUNT": "1",
    }
    cli.environment.update(variables)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return root


@pytest.fixture
def ours(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "python"))
    monkeypatch.setenv("METAFLOW_ENGINE_DIRECTORY", str(BUILD / "python/metaflow_cpp/native"))
    return importlib.import_module("metaflow_cpp.s3")


def tour(cli, module, work, root):
    done = cli.execute([sys.executable, "-B", "-c", TOUR, module, work, root], timeout=400)
    assert done.status == 0, done
    return json.loads(done.out.rpartition("RESULT")[2].replace(root, "ROOT"))


@pytest.mark.parametrize("server", ["moto"], indirect=True)  # the official client takes its time
def test_the_results_of_the_official_client(place, cli):
    roots = {"metaflow": f"{place}/theirs", "metaflow_cpp": f"{place}/ours"}
    written = {module: tour(cli, module, "write", root) for module, root in roots.items()}
    ours_, theirs = written["metaflow_cpp"], written["metaflow"]
    # A run that is none: the official client ends with an AttributeError.
    assert theirs["construction"][1] == "MetaflowS3URLException" or theirs.pop("construction") and ours_.pop("construction")
    assert ours_ == theirs
    for writer, root in roots.items():
        theirs, ours_ = (tour(cli, reader, "read", root) for reader in roots)
        theirs.pop("construction"), ours_.pop("construction")
        assert ours_.keys() == theirs.keys()
        for name in theirs:
            assert ours_[name] == theirs[name], (writer, name)


def test_keys_and_urls(place, ours):
    with ours.S3(s3root=place) as s3:
        # The official client cuts keys at a question mark.
        for key in ("what?", "what?else", "a//b", "dots/../up", "%2F", "new\tline", "x" * 200 + ".csv", "'\"<&>"):
            assert s3.put(key, key) == f"{place}/{key}"
        assert s3.get("what?").text == "what?" and s3.get("what?else").text == "what?else"
        listed = s3.list_recursive()
        assert {found.key: s3.get(found.key).text for found in listed} == {found.key: found.key for found in listed}
        assert len(listed) == 8
        # The official client takes siblings, too, whose names begin with that of the root.
        with ours.S3(s3root=f"{place}/a/") as other:
            other.put("x", "1")
        with ours.S3(s3root=f"{place}/ab") as other:
            other.put("x", "1")
        with ours.S3(s3root=f"{place}/a") as other:
            assert [found.url for found in other.get_all()] == [f"{place}/a//b", f"{place}/a/x"]
        assert [found.key for found in s3.get_recursive(["ab", "a/x"])] == ["x", f"{place}/a/x"]
        assert os.path.basename(s3.get("x" * 200 + ".csv").path).endswith("x.csv")
        assert s3.get(b"what?").text == "what?"
        for key, words in (("", "not a full path"), ("a\ud800", "UTF-8"), (5, "A key is a string, not int"), ("s3://x/y", "absolute")):
            with pytest.raises(ours.MetaflowS3URLException, match=words):
                ours.S3(s3root="s3://runs").get(key)
    with ours.S3() as s3:
        assert s3.get(f"{place}/what?").key == f"{place}/what?"
        for url, words in (("s3://", "full S3 URL"), ("s3://runs", "s3root"), ("s3://runs/", "not a full path"), ("s3:///x", "not an S3 URL"),
                           ("s3://a b/x", "not an S3 URL"), (None, "s3root")):  # fmt: skip
            with pytest.raises(ours.MetaflowS3URLException, match=words):
                s3.get(url)
        for what in (s3.get_many, s3.info_many, s3.get_recursive, s3.list_paths, s3.list_recursive):
            with pytest.raises(TypeError, match="a list of keys is needed"):
                what("s3://runs/x")
        with pytest.raises(ours.MetaflowS3InvalidObject, match="A pair or an S3PutObject"):
            s3.put_many(["ab"])


def test_several_buckets_in_one_call(place, ours, server):  # noqa: F811
    server_client = servers.Server(server.url).client()
    with contextlib.suppress(server_client.exceptions.BucketAlreadyOwnedByYou, server_client.exceptions.BucketAlreadyExists):
        server_client.create_bucket(Bucket="other-bucket")
    name = place.rpartition("/")[2]
    urls = [f"s3://{bucket}/{name}/{number}" for number in range(5) for bucket in ("runs", "other-bucket")]
    with ours.S3() as s3:
        assert s3.put_many([(url, url) for url in urls]) == [(url, url) for url in urls]
        assert [found.text for found in s3.get_many(urls)] == urls
        with pytest.raises(ours.MetaflowS3NotFound, match="(?s)no-such-bucket.*NoSuchBucket"):
            s3.get("s3://no-such-bucket/x")
        with pytest.raises(ours.MetaflowS3NotFound, match="no-such-bucket"):
            s3.list_paths(["s3://no-such-bucket/"])


def test_what_can_be_put(place, ours, tmp_path, server):  # noqa: F811
    content = bytes(range(256)) * 10
    file = tmp_path / "file"
    file.write_bytes(content)
    with ours.S3(s3root=place) as s3:
        with gzip.open(tmp_path / "z", "wb") as packed:
            packed.write(content)
        with open(file, "rb") as buffered, open(file, "rb", 0) as raw, gzip.open(tmp_path / "z") as unpacked:
            buffered.seek(100)
            given = [content, bytearray(content), memoryview(content), memoryview(bytearray(content)), io.BytesIO(content), buffered, raw, unpacked]
            for number, value in enumerate(given):
                s3.put(str(number), value)
            assert not buffered.closed
            assert all(found.blob == content for found in s3.get_many(map(str, range(len(given)))))
            buffered.seek(100)
            raw.seek(0)
            s3.put_many([("from here", buffered), ("whole", raw)])
            assert s3.get("from here").blob == content[100:] and s3.get("whole").blob == content
        with open(file) as text, pytest.raises(ours.MetaflowS3InvalidObject, match="'t' is not a string"):
            s3.put("t", text)
        with open(tmp_path / "w", "wb") as written, pytest.raises(ours.MetaflowS3InvalidObject, match="not readable or seekable"):
            s3.put("t", written)
        with pytest.raises(ours.MetaflowS3Exception, match="not a regular file"):
            s3.put_files([("t", str(tmp_path))])
        with pytest.raises(ours.MetaflowS3InvalidObject, match="path of the file"):
            s3.put_files([("t", None)])
        s3.put_files([("p", file)])
        assert s3.get("p").blob == content
        with pytest.raises(ours.MetaflowS3Exception, match="Cannot write"):
            s3.put("t", "x", content_type="a\nb: c")
        if server.kind == "moto":  # the other one wants TLS for this
            assert s3.put(ours.S3PutObject("o", encryption="AES256"), "x") == f"{place}/o" and s3.info("o").encryption == "AES256"


def test_large_objects_go_in_parts_and_from_file_to_file(place, ours, tmp_path):
    content = os.urandom(1 << 20) * 40
    (tmp_path / "large").write_bytes(content)
    with ours.S3(s3root=place) as s3:
        s3.put_files([ours.S3PutObject("large", path=str(tmp_path / "large"), content_type="text/csv", metadata={"a": 1})])
        found = s3.get("large")
        with open(found.path, "rb") as file:
            assert file.read() == content
        assert (found.content_type, found.metadata, found.range_info) == ("text/csv", {"a": 1}, (40 << 20, 0, 40 << 20))
        part = s3.get(ours.S3GetObject("large", 5, 20 << 20))
        assert part.blob == content[5 : 5 + (20 << 20)] and part.range_info == (40 << 20, 5, 20 << 20)
        assert s3.put("large", "small", overwrite=False) and s3.info("large").size == 40 << 20


def test_files_live_until_the_end(place, ours, tmp_path):
    with ours.S3(s3root=place, tmproot=str(tmp_path)) as s3:
        s3.put("x", "1")
        first, second = s3.get("x"), s3.get("x")
        assert first.path != second.path and first.path.startswith(f"{tmp_path}/metaflow.s3.")
        assert pickle.loads(pickle.dumps(first)).text == "1"
        with pytest.raises(TypeError, match="cannot be pickled"):
            pickle.dumps(s3)
    assert not os.path.exists(first.path) and not list(tmp_path.glob("metaflow.s3.*"))
    s3.close()
    for action in (lambda: s3.get("x"), lambda: s3.put("x", "1"), lambda: s3.list_paths(), lambda: s3.put_many([])):
        with pytest.raises(ours.MetaflowS3Exception, match="closed"):
            action()
    with pytest.raises(ours.MetaflowS3Exception, match="tmproot"):
        ours.S3(tmproot="/no/such/directory")


def test_roots(place, ours, monkeypatch):
    run = types.SimpleNamespace(id="17", parent=types.SimpleNamespace(id="Flow"))
    bucket, prefix = "runs", place.removeprefix("s3://runs/")
    assert ours.S3(run=run).put("x", "1") == f"s3://runs/{prefix}/data/Flow/17/x"
    assert ours.S3(run=run, prefix="p/q/").put("x", "1") == "s3://runs/p/q/Flow/17/x"
    with pytest.raises(ours.MetaflowS3NotFound):
        ours.S3(run=run, bucket="no-such-bucket").put("x", "1")
    monkeypatch.setenv("METAFLOW_DATATOOLS_S3ROOT", f"s3://runs/{prefix}/tools/")
    assert ours.S3(run=run).put("x", "1") == f"s3://runs/{prefix}/tools/Flow/17/x"
    monkeypatch.delenv("METAFLOW_DATATOOLS_S3ROOT")
    monkeypatch.delenv("METAFLOW_DATASTORE_SYSROOT_S3")
    with pytest.raises(ours.MetaflowS3URLException, match="METAFLOW_DATATOOLS_S3ROOT"):
        ours.S3(run=run)
    assert ours.S3(run=run, bucket=bucket, prefix=prefix).put("x", "1") == f"s3://runs/{prefix}/Flow/17/x"
    from metaflow_cpp import FlowSpec

    flow = type("F", (FlowSpec,), {})
    with pytest.raises(ours.MetaflowS3URLException, match="outside of a running flow"):
        ours.S3(run=object.__new__(flow), bucket=bucket, prefix=prefix)
    with pytest.raises(ours.MetaflowS3Exception, match="'role'.*AWS_PROFILE"):
        ours.S3(role="arn:aws:iam::1:role/x")


def test_threads_and_forks_share_an_object(place, ours):
    from concurrent.futures import ThreadPoolExecutor

    from metaflow_cpp import parallel_map

    with ours.S3(s3root=place) as s3:
        keys = [str(number) for number in range(20)]
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda key: s3.put(key, key), keys))
            assert [found.text for found in pool.map(s3.get, keys)] == keys
        found = parallel_map(lambda key: s3.get(key), keys, max_parallel=4)
        assert [each.text for each in found] == keys and len({each.path for each in found}) == 20, "the files outlive the processes"
        assert s3.get("7").text == "7"


FLOW = """
from metaflow import FlowSpec, S3, current, parallel_map, step
from metaflow.plugins.datatools.s3 import MetaflowS3NotFound, S3GetObject, S3PutObject

class InS3(FlowSpec):
    @step
    def start(self):
        with S3(run=self) as s3:
            self.url = s3.put("greeting", "hello", metadata={"step": current.step_name})
            s3.put_many([S3PutObject(f"n/{i}", str(i), None, "text/plain") for i in range(6)])
        self.numbers = [0, 3]
        self.next(self.work, foreach="numbers")

    @step
    def work(self):
        with S3(run=self) as s3:
            keys = [f"n/{i}" for i in range(self.input, self.input + 3)]
            def double(key):
                with S3(run=self) as own:
                    own.put(key.replace("n", "m"), s3.get(key).text * 2)
                return key
            assert parallel_map(double, keys) == keys
            self.found = [found.text for found in s3.get_many([key.replace("n", "m") for key in keys])]
        self.next(self.join)

    @step
    def join(self, inputs):
        self.found = [text for each in inputs for text in each.found]
        with S3(run=self) as s3:
            self.text = s3.get(S3GetObject("greeting", 1, 3)).text
            self.keys = [found.key for found in s3.list_recursive(["m"])]
            try:
                s3.get("nothing")
            except MetaflowS3NotFound as error:
                self.error = str(error)
            try:
                with S3() as other:
                    other.get("greeting")
            except Exception as error:
                self.other = error.args[0] if error.args else str(error)
        self.next(self.end)

    @step
    def end(self):
        pass

if __name__ == "__main__":
    InS3()
"""


@pytest.mark.parametrize("fork_server", ["1", "0"])
def test_in_a_flow(place, py, client, fork_server):  # noqa: F811
    result = py.unchanged(py.write(FLOW), "run", "--run-id-file", "id", env={"METAFLOW_FORK_SERVER": fork_server})
    assert result.status == 0, result
    run_id = (py.cli.directory / "id").read_text()
    run = client.Run(f"InS3/{run_id}")
    data = run["join"].task.data
    assert run["start"].task.data.url == f"{place}/data/InS3/{run_id}/greeting"
    assert data.found == ["00", "11", "22", "33", "44", "55"] and data.text == "ell"
    assert data.keys == ["0", "1", "2", "3", "4", "5"] and data.error == f"URL not found: {place}/data/InS3/{run_id}/nothing"
    assert "Specify S3(run=self)" in data.other
    assert not list(py.cli.directory.glob("metaflow.s3.*"))


def test_a_task_that_does_not_use_it_does_not_load_it(cli, ours):
    program = "import sys, metaflow_cpp; print([name for name in sys.modules if name.startswith('metaflow_cpp.s3')], metaflow_cpp.S3.__name__)"
    done = cli.execute([sys.executable, "-c", program], env={"PYTHONPATH": str(ROOT / "python")})
    assert done.out == "[] S3\n", done


def test_names_of_the_official_package(py):
    """Flows import them from where Metaflow has them, also if they use other parts of the official package."""
    imports = """
from metaflow import S3
from metaflow.datatools import S3 as same
from metaflow.datatools.s3 import S3GetObject
from metaflow.plugins.datatools.s3 import MetaflowS3NotFound, S3PutObject
print({each.__module__.partition(".s3")[0] for each in (S3, same, S3GetObject, MetaflowS3NotFound, S3PutObject)})
"""
    result = py.unchanged(py.write(imports), "run")
    assert result.out == "{'metaflow_cpp'}\n", result
    result = py.unchanged(py.write("import metaflow.plugins.datatools.s3.s3util\nfrom metaflow.cards import Markdown\n" + imports), "run")
    assert result.out == "{'metaflow_cpp'}\n", result
