"""Compiles every wrong flow of this directory with every compiler and looks at what a user would read.

A wrong flow says on its first line which sentence is expected and on its second which names (of steps, members, types) must be in
the message, alternatives separated by "|" (int*, where compilers differ in the space):

    // expect: metaflow: no step leads to this step
    // names: lonely

It must not compile, and that sentence must be the only error. If the expected words are the compiler's own, they are the first error, and no
sentence of this library follows them.

usage: check.py --include DIRECTORY --compiler g++ --compiler clang++-16 [--jobs N] [--show] [NAME...]
"""

import argparse
import concurrent.futures
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from compilers import is_clang, precompile  # noqa: E402

FLAGS = ["-std=c++20", "-Wall", "-Wextra", "-Werror"]
MAX_ERRORS = 3  # of the compiler


def messages(compiler, options, include, source):
    """The status and the messages, without quoted source and without the path, so that names in it do not count."""
    no_quotes = "-fno-caret-diagnostics" if is_clang(compiler) else "-fno-diagnostics-show-caret"
    # Some sentences are errors of code generation: other errors hide them.
    command = [compiler, *FLAGS, "-c", "-o", "/dev/null", no_quotes, *options, f"-I{include}", source]
    process = subprocess.run(command, capture_output=True, text=True, errors="replace")
    text = process.stderr.replace(str(source), "flow.cc").replace(str(source.parent), "")
    return process.returncode, re.sub(r"(?<=\w) (?=[*&])", "", text)  # clang writes "int *"


def complaints(source, status, text):
    """What is wrong with these messages."""
    head = source.read_text().splitlines()[:2]
    expected = head[0].removeprefix("// expect: ")
    names = head[1].removeprefix("// names: ").split()
    assert expected != head[0] and names, f"{source}: the first two lines say what is expected"
    errors = [line for line in text.splitlines() if re.search(r"\berror: ", line)]
    if status == 0:
        return ["it compiles"]
    wrong = []
    if not errors or expected not in errors[0]:
        wrong.append(f"the first error is not: {expected}")
    ours = [line for line in errors if "metaflow: " in line]
    if len(ours) != expected.startswith("metaflow: ") or len(errors) > (1 if ours else MAX_ERRORS):
        wrong.append(f"{len(errors)} errors")
    for name in names:
        alternatives = "|".join(re.escape(alternative) for alternative in name.split("|"))
        if not re.search(rf"(?<!\w)(?:{alternatives})(?!\w)", text):
            wrong.append(f"{name} is not named")
    return wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--include", required=True)
    parser.add_argument("--compiler", action="append", required=True)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--show", action="store_true", help="print all messages")
    parser.add_argument("flows", nargs="*")
    options = parser.parse_args()

    sources = [HERE / f"{name}.cc" for name in options.flows] or sorted(HERE.glob("*.cc"))
    assert sources, "there are no wrong flows"
    failures = 0
    with tempfile.TemporaryDirectory() as directory, concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for compiler in options.compiler:
            use = precompile(compiler, FLAGS, options.include, directory)
            results = pool.map(lambda source: messages(compiler, use, options.include, source), sources)
            for source, (status, text) in zip(sources, results):
                wrong = complaints(source, status, text)
                failures += bool(wrong)
                if wrong or options.show:
                    print(f"{source.name} with {compiler}: {'; '.join(wrong) or 'as expected'}\n{text}")
    print(f"{len(sources)} wrong flows, {len(options.compiler)} compilers, {failures} failures")
    return failures != 0


if __name__ == "__main__":
    sys.exit(main())
