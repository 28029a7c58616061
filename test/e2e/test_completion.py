"""Completion, in real shells: what the key Tab offers."""

import os
import pty
import re
import select
import shutil
import subprocess

import pytest

from conftest import BUILD

# The line, and the candidates in zsh and fish. bash splits words at = and :.
CASES = {
    "sweep ru": {"run", "runs"},
    "./sweep run --max-n": {"--max-num-splits"},
    "sweep run --max-": {"--max-workers", "--max-num-splits", "--max-log-size"},
    "sweep --metadata ": {"service", "local"},
    "sweep --metadata=l": {"--metadata=local"},
    "sweep resume ": {"start", "work", "join", "end"},
    "sweep resume --with=retry:t": {"--with=retry:times="},
    "sweep status la": {"latest"},
    "sweep dump latest/w": {"latest/work"},
    "sweep dump --json latest/start/": {"latest/start/1"},
    "sweep debug latest/st": {"latest/start/"},
    "sweep run --run-id-file some": {"some file"},
    "sweep tag re": {"remove", "replace"},
    "sweep help tag l": {"list"},
    "sweep completion z": {"zsh"},
    "sweep nosuch ": set(),
    "several_flow Tr": {"Train"},
    "several_flow Train run --n": {"--n", "--namespace", "--no-progress", "--not-quiet"},
    "~/sweep run --take": set(),
}


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    directory = tmp_path_factory.mktemp("completion")
    (directory / "sweep").symlink_to(BUILD / "examples/sweep")
    (directory / "some file").touch()
    environment = {"PATH": f"{BUILD / 'examples'}:{BUILD / 'flows'}:{os.environ['PATH']}", "HOME": str(directory), "USER": "tester"}
    for shell in ("bash", "zsh", "fish"):
        script = subprocess.check_output(["sweep", "completion", shell, "sweep", "several_flow"], cwd=directory, env=environment)
        (directory / shell).write_bytes(script)
    subprocess.run(["sweep", "run", "--n", "1"], cwd=directory, env=environment, check=True, capture_output=True)
    return directory, environment


class Terminal:
    """An interactive shell on a terminal."""

    def __init__(self, command, directory, environment):
        self.master, slave = pty.openpty()
        self.shell = subprocess.Popen(command, cwd=directory, env={**environment, "TERM": "dumb", "INPUTRC": "/dev/null"},
                                      stdin=slave, stdout=slave, stderr=slave, start_new_session=True)  # fmt: skip
        os.close(slave)

    def type(self, text):
        os.write(self.master, text.encode())

    def read_until(self, pattern):
        seen = ""
        while not (found := re.search(pattern, seen, re.S)):
            ready, _, _ = select.select([self.master], [], [], 60)
            assert ready, f"the shell is silent after {seen!r}"
            seen += os.read(self.master, 65536).decode("utf-8", "replace")
        return found

    def close(self):
        self.shell.kill()
        self.shell.wait()
        os.close(self.master)


def needs(program):
    if shutil.which(program) is None:
        pytest.skip(f"needs the program {program}")


def test_bash(directory):
    directory, environment = directory
    terminal = Terminal(["bash", "--norc", "--noprofile", "-i"], directory, environment)
    terminal.type("bind 'set bell-style none'; source ./bash; show() { printf '<%s>' \"${@:2}\"; echo END; }; echo READY$((1))\n")
    terminal.read_until("READY1")
    for line, candidates in CASES.items():
        # Alt-* inserts all candidates; the line becomes the arguments of `show`, which prints them behind a mark.
        terminal.type(f"{line}\x1b*\x01show BEGIN$((1)) \n")
        shown = terminal.read_until(r"\n(?:<BEGIN1>)?<([^\n]*?)END\r?\n")[1]
        words = re.findall("<?([^<>]+)>", shown)
        typed = line.split(" ")
        given = [word for word in words if word != "BEGIN1"][len(typed) - 1 :]
        expected = candidates or ({typed[-1]} - {""})
        assert set(given) == {os.path.expanduser(word) for word in expected}, (line, words)
    terminal.close()


def test_zsh(directory):
    needs("zsh")
    directory, environment = directory
    terminal = Terminal(["zsh", "-f", "-i"], directory, environment)
    # compadd writes the matches into a file; Ctrl-N ends a line.
    terminal.type(
        "unsetopt beep; autoload -Uz compinit; compinit -D -u; source ./zsh; "
        "compadd() { local -a hits; builtin compadd -O hits \"$@\"; print -rl -- $hits >> hits; builtin compadd \"$@\" }; "
        "next() { print -r -- END >> hits; BUFFER=; zle -R; print DONE$((1)) }; zle -N next; bindkey '^N' next; echo READY$((1))\n"
    )
    terminal.read_until("READY1")
    hits = directory / "hits"
    for line, candidates in CASES.items():
        hits.write_text("")
        terminal.type(f"{line}\t\x0e")
        terminal.read_until("DONE1")
        given = set(hits.read_text().replace('\\ ', ' ').split("\n")) - {"", "END"}
        assert given == candidates, line
    terminal.close()


def test_fish(directory):
    needs("fish")
    directory, environment = directory
    lines = " ".join(f"'{line}'" for line in CASES)
    script = f"source ./fish; for line in {lines}; echo \"LINE $line\"; complete -C $line; end"
    out = subprocess.run(["fish", "--no-config", "-c", script], cwd=directory, env=environment, capture_output=True, text=True, check=True).stdout
    given = {}
    for line in out.splitlines():
        if line.startswith("LINE "):
            current = given.setdefault(line[5:], set())
        else:
            current.add(line.split("\t")[0].replace("\\ ", " "))
    assert given == CASES


def test_every_page_of_the_manual_is_valid(directory):
    needs("mandoc")
    directory, environment = directory
    subprocess.run(["sweep", "man", "--output", "pages"], cwd=directory, env=environment, check=True, capture_output=True)
    pages = sorted((directory / "pages").iterdir())
    assert len(pages) > 20
    lint = subprocess.run(["mandoc", "-Tlint", "-Wwarning", *pages], capture_output=True, text=True)
    assert lint.returncode == 0, lint.stdout
