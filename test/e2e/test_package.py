"""The package of a flow: what is in it, that it starts where nothing else is, and the shell text that fetches it."""

import hashlib
import io
import json
import os
import pathlib
import shutil
import subprocess
import tarfile

import pytest
from conftest import BUILD

may_chroot = pytest.mark.skipif(
    os.geteuid() != 0 or subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], capture_output=True).returncode != 0,
    reason="namespaces are not permitted here",
)


def save(cli, program="misbehave", *words, env=None):
    """The package, and its SHA-256 as it was printed."""
    file = cli.directory / "package.tgz"
    result = cli(program, "package", "save", file, *words, env=env)
    assert result.status == 0, result
    return file, result.out.split()[0]


# --- what is in it


def test_list(cli):
    result = cli("misbehave", "package", "list")
    assert result.status == 0, result
    for name in ("bin/flow", "lib/ld.so", "lib/libc.so.6", "lib/libcurl.so.4", "files for"):
        assert name in result.out
    described = json.loads(cli("misbehave", "package", "list", "--json").out)
    assert not described["static"] and described["of_host"] == []
    assert described["size"] == sum(file["size"] for file in described["files"])
    assert {file["name"] for file in described["files"]} >= {"bin/flow", "etc/ca-certificates.crt"}


def test_it_is_the_same_for_the_same_program(cli):
    file, digest = save(cli)
    first = file.read_bytes()
    assert hashlib.sha256(first).hexdigest() == digest
    assert save(cli)[1] == digest and file.read_bytes() == first
    assert save(cli, "failing")[1] != digest
    with tarfile.open(fileobj=io.BytesIO(first)) as archive:
        for member in archive.getmembers():
            assert (member.uid, member.gid, member.mtime) == (0, 0, 1575360000)
            assert member.mode == (0o444 if member.name.startswith("etc/") else 0o555)
        assert archive.extractfile("bin/flow").read() == cli.path("misbehave").read_bytes()


def test_declared_libraries(cli):
    env = {"METAFLOW_PACKAGE_LIBRARIES": "libutil.so.1 libcuda.so.1"}
    described = json.loads(cli("misbehave", "package", "list", "--json", "--library", "libdl.so.2").out)
    assert "lib/libdl.so.2" in [file["name"] for file in described["files"]]
    described = json.loads(cli("misbehave", "package", "list", "--json", env=env).out)
    assert "lib/libutil.so.1" in [file["name"] for file in described["files"]]
    assert described["of_host"] == ["libcuda.so.1"]


def test_what_is_missing_is_named(cli):
    result = cli("misbehave", "package", "save", "p", "--library", "libnowhere.so.7")
    assert result.status == 1 and "libnowhere.so.7 (opened by the program)" in result.err
    assert not (cli.directory / "p").exists()


@pytest.mark.skipif(os.environ.get("METAFLOW_SANITIZED") == "1", reason="sanitizers do not link statically")
def test_a_static_program(cli):
    """It needs no loader and no libraries, and a step of it runs under its supervisor."""
    source = cli.directory / "hello.cc"
    source.write_text(
        "#include <metaflow/metaflow.h>\nnamespace mf = metaflow;\n"
        "struct Hello : mf::FlowSpec<Hello> {\n  int x = 7;\n  void start() {}\n  void end() {}\n"
        "  static auto graph() { return mf::graph(mf::step<&Hello::start>(mf::next<&Hello::end>), mf::step<&Hello::end>()); }\n};\n"
        "int main(int argc, char** argv) { return mf::run<Hello>(argc, argv); }\n"
    )
    include = pathlib.Path(__file__).parents[2] / "include"
    subprocess.run(
        ["g++", "-std=c++20", "-static", f"-I{include}", source, "-o", cli.directory / "hello", BUILD / "libmetaflow.a", "-l:libnettle.a", "-l:libyaml-cpp.a", "-lz"],
        check=True,
        capture_output=True,
    )
    described = cli.execute([cli.directory / "hello", "package", "list", "--json"])
    assert json.loads(described.out)["static"], described
    assert [file["name"] for file in json.loads(described.out)["files"]] == ["bin/flow", "etc/ca-certificates.crt"]
    assert cli.execute([cli.directory / "hello", "run"]).status == 0
    file = cli.directory / "package.tgz"
    assert cli.execute([cli.directory / "hello", "package", "save", file]).status == 0
    with tarfile.open(file) as archive:
        archive.extractall(cli.directory / "there")
    run_id = (cli.directory / ".metaflow/Hello/latest_run").read_text()
    words = step_words(cli.directory / ".metaflow", run_id)
    words[words.index("middle")] = "end"
    done = cli.execute([cli.directory / "there/bin/flow", "supervise", "--", *words])
    assert done.status == 0 and (cli.directory / f".metaflow/Hello/{run_id}/end/90/0.DONE.lock").exists(), done


def test_the_code_for_python_clients(cli, client):
    """What `package save --code` writes, stored as a code package, is what Task.code shows."""
    run_id = cli.run("misbehave")
    archive = cli.directory / "code.tgz"
    assert cli("misbehave", "package", "save", "--code", archive).status == 0
    content = archive.read_bytes()
    key = hashlib.sha1(content).hexdigest()
    root = cli.directory / ".metaflow"
    blob = root / "Misbehave" / "data" / key[:2] / key
    blob.parent.mkdir(exist_ok=True)
    blob.write_bytes(content)
    pathlib.Path(f"{blob}_meta").write_text('{"cas_raw": true, "cas_version": 1}')
    metadata = json.dumps({"version": 0, "archive_format": "tgz", "mfcontent_version": 1})
    value = json.dumps({"ds_type": "local", "sha": key, "location": str(blob), "metadata": metadata})
    row = {"field_name": "code-package", "type": "code-package", "value": value, "tags": ["attempt_id:0"], "ts_epoch": 1}
    (root / "Misbehave" / run_id / "start/1/_meta/sysmeta_code-package_1.json").write_text(json.dumps(row))
    code = client.Task(f"Misbehave/{run_id}/start/1").code
    assert code.script_name == "misbehave_flow.txt"
    assert b"middle" in code.flowspec


# --- where nothing else is


class Tree:
    """A root directory for processes of their own."""

    def __init__(self, path):
        self.path = path
        for name in ("dev", "proc", "tmp", "store", "mf"):
            (path / name).mkdir(parents=True, exist_ok=True)

    def busybox(self):
        (self.path / "bin").mkdir()
        shutil.copy(shutil.which("busybox"), self.path / "bin/busybox")
        for applet in subprocess.run(["busybox", "--list"], capture_output=True, text=True).stdout.split():
            if applet != "busybox":
                (self.path / "bin" / applet).symlink_to("busybox")
        return self

    def unpack(self, package):
        with tarfile.open(package) as archive:
            archive.extractall(self.path / "mf")
        return self

    def run(self, *command, env=None, timeout=60):
        """As the first process of a container: alone, with /dev and /proc."""
        enter = 'mount --bind /dev "$0/dev" && mount -t proc proc "$0/proc" && exec chroot "$0" "$@"'
        return subprocess.run(
            ["unshare", "--mount", "--pid", "--fork", "sh", "-c", enter, self.path, *map(str, command)],
            env={"PATH": "/bin:/usr/bin:/usr/sbin:/sbin", "HOME": "/", "METAFLOW_USER": "tester", **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )


THROUGH_LOADER = ["/mf/lib/ld.so", "--library-path", "/mf/lib", "/mf/bin/flow"]


def step_words(root, run_id, task="90"):
    return [
        *("--quiet", "--datastore", "local", "--datastore-root", root, "step", "middle", "--run-id", run_id, "--task-id", task),
        *("--input-paths", f"{run_id}/start/1", "--retry-count", "0", "--max-user-code-retries", "0", "--namespace", "n"),
    ]


def run_with(cli, how):
    """A run that has done its first step, with the parameter that the second looks at."""
    return cli.fail("misbehave", "--how", how, env={"METAFLOW_FAIL_AT": "middle.*:EIO:1:sticky"})[0]


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path / "tree")


def attempt(tree, run_id, name):
    return tree.path / "store/Misbehave" / run_id / "middle/90" / f"0.{name}"


@may_chroot
def test_it_starts_in_an_empty_root(cli, tree):
    run_id = run_with(cli, "well")
    shutil.copytree(cli.directory / ".metaflow", tree.path / "store", dirs_exist_ok=True)
    tree.unpack(save(cli)[0])
    done = tree.run(*THROUGH_LOADER, "supervise", "--", *step_words("/store", run_id))
    assert done.returncode == 0, done
    assert "about to do: well" in done.stdout
    assert attempt(tree, run_id, "DONE.lock").exists()
    assert json.loads(attempt(tree, run_id, "exit.json").read_text())["committed"]
    assert "|task|" in attempt(tree, run_id, "task_stdout.log").read_text()


@may_chroot
def test_a_crash_there_has_a_stack(cli, tree):
    """The stack is found by the same program again, started through its loader."""
    run_id = run_with(cli, "segv")
    shutil.copytree(cli.directory / ".metaflow", tree.path / "store", dirs_exist_ok=True)
    tree.unpack(save(cli)[0])
    crashed = tree.run(*THROUGH_LOADER, "supervise", "--", *step_words("/store", run_id))
    assert crashed.returncode == 139, crashed
    assert "Fatal signal SIGSEGV" in crashed.stderr and "Misbehave::middle" in crashed.stderr
    report = json.loads(attempt(tree, run_id, "exit.json").read_text())
    assert report["signal"] == 11 and not report["committed"] and "segmentation fault" in report["cause"]
    assert not attempt(tree, run_id, "DONE.lock").exists()


@may_chroot
def test_a_whole_run_there(cli, tree):
    """A scheduler that was started through the loader starts its tasks so."""
    tree.unpack(save(cli)[0])
    done = tree.run(*THROUGH_LOADER, "run", env={"METAFLOW_DATASTORE_SYSROOT_LOCAL": "/store"})
    assert done.returncode == 0 and "Done!" in done.stdout, done
    failed = tree.run(*THROUGH_LOADER, "run", "--how", "throw", env={"METAFLOW_DATASTORE_SYSROOT_LOCAL": "/store"})
    assert failed.returncode == 1 and "OwnException: boom" in failed.stdout and "throw_from_below" in failed.stdout, failed
