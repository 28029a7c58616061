"""How a package is fetched and unpacked where it is executed: whatever tools there are."""

import functools
import http.server
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import threading

import pytest
from test_package import THROUGH_LOADER, Tree, attempt, may_chroot, run_with, save, step_words, tree  # noqa: F401


# --- fetching it


class Server(http.server.ThreadingHTTPServer):
    """Serves one directory, and keeps what was asked for."""

    def __init__(self, directory):
        self.requests = []
        owner = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            def log_message(self, *_):
                owner.requests.append(self.path)

        super().__init__(("127.0.0.1", 0), functools.partial(Handler, directory=str(directory)))
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def url(self, file):
        return f"http://127.0.0.1:{self.server_port}/{file}?X-Amz-Signature=5ec2e7"


@pytest.fixture
def server(cli):
    server = Server(cli.directory)
    yield server
    server.shutdown()


BASE = "mkdir mv rm id chmod uname sleep cat dirname".split()
SHELLS = {"dash": ["dash"], "bash": ["bash"], "busybox": ["busybox", "sh"]}


def script(name):
    """A text of the library, from its source."""
    source = (pathlib.Path(__file__).parents[2] / "src/compute/package/bootstrap.cc").read_text()
    parts = source.split('R"sh(')[1:]
    fetch, become, install = (part.split(')sh"')[0] for part in parts)
    return fetch + {"bootstrap": become, "install": install}[name]


def bootstrap(cli, shell, tools, env, *words, text="bootstrap"):
    """Runs the text with these programs and no others on the PATH."""
    directory = cli.directory / "path"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    for tool in [*BASE, *tools]:
        found = os.path.realpath(sys.executable) if tool == "python3" else shutil.which(tool)
        assert found, f"{tool} is not installed"
        (directory / tool).symlink_to(found)
    program = [shutil.which(SHELLS[shell][0]), *SHELLS[shell][1:]]
    settings = {"PATH": str(directory), "MF_PAUSE": "0", "MF_TRIES": "2", "MF_DIR": str(cli.directory / "there"), "HOME": "/"}
    return subprocess.run(
        [*program, "-c", script(text), "metaflow", *words],
        env={**settings, **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("downloader", ["curl", "wget", "python3", "bash", "busybox"])
def test_every_downloader(cli, server, shell, downloader):
    file, digest = save(cli)
    env = {"MF_URL": server.url(file.name), "MF_SHA256": digest, "MF_MACHINE": platform.machine()}
    started = bootstrap(cli, shell, ["tar", "gzip", "sha256sum", downloader], env, "version")
    assert started.returncode == 0, started
    assert "C++" in started.stdout, started
    assert "5ec2e7" not in started.stdout + started.stderr
    asked = len(server.requests)
    assert asked >= 1
    again = bootstrap(cli, shell, [], env, "version")
    assert again.returncode == 0 and len(server.requests) == asked, "what is there is not fetched again"
    assert sorted(os.listdir(cli.directory / "there")) == [digest], "nothing is left over"


@pytest.mark.parametrize("shell", SHELLS)
def test_a_wrong_checksum(cli, server, shell):
    file, digest = save(cli)
    env = {"MF_URL": server.url(file.name), "MF_SHA256": digest[::-1]}
    refused = bootstrap(cli, shell, ["tar", "gzip", "sha256sum", "curl"], env, "version")
    assert refused.returncode == 97 and "the checksum is wrong (2 times)" in refused.stderr, refused
    assert len(server.requests) == 2


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("downloader", ["curl", "wget", "python3", "bash"])
def test_nothing_there(cli, server, shell, downloader):
    env = {"MF_URL": server.url("missing"), "MF_SHA256": "0" * 64}
    failed = bootstrap(cli, shell, ["tar", "gzip", "sha256sum", downloader], env, "version")
    assert failed.returncode == 97 and "the download failed (2 times)" in failed.stderr, failed
    assert "5ec2e7" not in failed.stdout + failed.stderr


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_no_downloader(cli, shell):
    env = {"MF_URL": "https://127.0.0.1:1/x?X-Amz-Signature=5ec2e7", "MF_SHA256": "0" * 64}
    tools = ["tar", "gzip", "sha256sum", "bash"]
    failed = bootstrap(cli, shell, tools, env, "version")
    assert failed.returncode == 96 and "no downloader for https in this image" in failed.stderr, failed
    assert "5ec2e7" not in failed.stdout + failed.stderr


def test_no_unpacker(cli, server):
    file, digest = save(cli)
    env = {"MF_URL": server.url(file.name), "MF_SHA256": digest}
    failed = bootstrap(cli, "dash", ["sha256sum", "curl"], env, "version")
    assert failed.returncode == 96 and "cannot unpack" in failed.stderr, failed
    # Python unpacks where tar has no gzip, and checks where there is no sha256sum.
    assert bootstrap(cli, "dash", ["tar", "python3"], env, "version").returncode == 0


@pytest.mark.parametrize("shell", SHELLS)
def test_what_others_may_have_put_in_its_place_is_not_executed(cli, shell):
    digest = "0" * 64
    env = {"MF_URL": "http://127.0.0.1:1/", "MF_SHA256": digest}
    program = cli.directory / "there" / digest / "bin/flow"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\necho evil\n")
    program.chmod(0o755)
    home = program.parent.parent
    assert bootstrap(cli, shell, ["ls"], env).stdout == "evil\n", "it is one's own"
    home.chmod(0o777)
    refused = bootstrap(cli, shell, ["ls"], env)
    assert refused.returncode == 96 and "others can write in" in refused.stderr, refused
    home.chmod(0o755)
    home.rename(home.with_name("elsewhere"))
    home.symlink_to("elsewhere")
    refused = bootstrap(cli, shell, ["ls"], env)
    assert refused.returncode == 96 and "belongs to another user" in refused.stderr, refused


def test_another_machine(cli):
    failed = bootstrap(cli, "dash", [], {"MF_URL": "http://x/", "MF_SHA256": "0", "MF_MACHINE": "s390x"}, "version")
    assert failed.returncode == 96 and "the flow was built for s390x" in failed.stderr


def test_the_link_is_not_passed_on(cli, server):
    """Neither to the flow, nor in the arguments of a program that others can list."""
    file, digest = save(cli)
    env = {"MF_URL": server.url(file.name), "MF_SHA256": digest}
    curl = cli.directory / "curl"
    curl.write_text(f'#!/bin/sh\necho "$@" >>{cli.directory}/seen\nexec {shutil.which("curl")} "$@"\n')
    curl.chmod(0o755)
    directory = cli.directory / "path"
    started = bootstrap(cli, "dash", ["tar", "gzip", "sha256sum", "curl"], env, "version")
    assert started.returncode == 0
    shutil.rmtree(cli.directory / "there")
    (directory / "curl").unlink()
    (directory / "curl").symlink_to(curl)
    text = script("bootstrap").replace('[ -e "$home/lib/ld.so" ]', 'env >"$MF_SEEN"\n[ -e "$home/lib/ld.so" ]')
    (directory / "env").symlink_to(shutil.which("env"))
    started = subprocess.run(
        ["/bin/dash", "-c", text, "metaflow", "version"],
        env={**env, "PATH": str(directory), "MF_DIR": str(cli.directory / "there"), "MF_SEEN": str(cli.directory / "env.txt")},
        capture_output=True,
    )
    assert started.returncode == 0, started
    assert "5ec2e7" not in (cli.directory / "seen").read_text()
    assert "5ec2e7" not in (cli.directory / "env.txt").read_text()


def test_a_directory_of_somebody_else_is_not_used(cli, server, tmp_path):
    file, digest = save(cli)
    theirs = tmp_path / "tmp"
    theirs.mkdir()
    (theirs / f".metaflow-{os.getuid()}").symlink_to("/")
    env = {"MF_URL": server.url(file.name), "MF_SHA256": digest, "MF_DIR": "", "TMPDIR": str(theirs)}
    failed = bootstrap(cli, "dash", ["tar", "gzip", "sha256sum", "curl"], env, "version")
    assert failed.returncode == 96 and "belongs to another user" in failed.stderr
    (theirs / f".metaflow-{os.getuid()}").unlink()
    assert bootstrap(cli, "dash", ["tar", "gzip", "sha256sum", "curl"], env, "version").returncode == 0
    assert (theirs / f".metaflow-{os.getuid()}").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("shell", SHELLS)
def test_the_init_container(cli, server, shell):
    file, digest = save(cli)
    there = cli.directory / "there"
    env = {"MF_URL": server.url(file.name), "MF_SHA256": digest}
    tools = ["tar", "gzip", "sha256sum", "curl"]
    assert bootstrap(cli, shell, tools, env, text="install").returncode == 96, "the volume is not mounted"
    there.mkdir()
    for _ in range(2):
        installed = bootstrap(cli, shell, tools, env, text="install")
        assert installed.returncode == 0, installed
    assert sorted(os.listdir(there)) == ["bin", "etc", "lib"]
    started = cli.execute([there / "lib/ld.so", "--library-path", there / "lib", there / "bin/flow", "version"])
    assert started.status == 0, started


@may_chroot
def test_a_container_of_busybox(cli, server, tree):
    """As in alpine: no glibc, the wget of busybox; the step is supervised to its end, as the first process."""
    run_id = run_with(cli, "daemon")
    shutil.copytree(cli.directory / ".metaflow", tree.path / "store", dirs_exist_ok=True)
    file, digest = save(cli)
    tree.busybox()
    musl = pathlib.Path("/lib/ld-musl-x86_64.so.1")
    if musl.exists():
        (tree.path / "lib").mkdir()
        shutil.copy(musl, tree.path / "lib")
    env = {"MF_URL": server.url(file.name), "MF_SHA256": digest, "MF_MACHINE": platform.machine()}
    done = tree.run("/bin/sh", "-c", script("bootstrap"), "metaflow", "supervise", "--", *step_words("/store", run_id), env=env)
    assert done.returncode == 0, done
    assert attempt(tree, run_id, "DONE.lock").exists()
