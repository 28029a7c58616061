"""Compiles flows that are right, with every compiler and the warnings that careful users switch on as errors. The library's
headers are theirs then: what they do must not warn either.

The flows: those of this directory and of examples. (Those of test/flows are built with these warnings anyway.) Those of this directory
are compiled for the sanitizers, too: what is a constant expression depends on them.

usage: check.py --include DIRECTORY --compiler g++ --compiler clang++-16 [--jobs N] [NAME...]
"""

import argparse
import concurrent.futures
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from compilers import precompile  # noqa: E402

FLAGS = "-std=c++20 -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Werror".split()
SANITIZERS = ["-fsanitize=address,undefined"]


def compile_all(compiler, flags, options, sources):
    """Returns how many flows do not compile."""
    with tempfile.TemporaryDirectory() as directory, concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        use = precompile(compiler, flags, options.include, directory)

        def build(source):
            # Not -fsyntax-only: some warnings come later.
            command = [compiler, *flags, *use, f"-I{options.include}", "-c", source, "-o", "/dev/null"]
            return subprocess.run(command, capture_output=True, text=True, errors="replace")

        failures = 0
        for source, process in zip(sources, pool.map(build, sources)):
            if process.returncode != 0:
                failures += 1
                print(f"{source} with {compiler} {' '.join(flags)}:\n{process.stderr}")
        return failures


def long_chain(steps):
    """A flow of so many steps: compilers limit what a constant expression may cost."""
    names = ["start", *(f"step_number_{i}" for i in range(1, steps - 1)), "end"]
    functions = "".join(f"  void {name}() {{}}\n" for name in names)
    chain = ",\n".join(f"        mf::step<&Chain::{a}>(mf::next<&Chain::{b}>)" for a, b in zip(names, names[1:]))
    return f"""#include <metaflow/metaflow.h>
namespace mf = metaflow;
namespace {{
struct Chain : mf::FlowSpec<Chain> {{
{functions}  static auto graph() {{
    return mf::graph({chain},
        mf::step<&Chain::end>());
  }}
}};
}}  // namespace
int main(int argc, char** argv) {{ return mf::run<Chain>(argc, argv); }}
"""


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--include", required=True)
    parser.add_argument("--compiler", action="append", required=True)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("flows", nargs="*")
    options = parser.parse_args()

    sources = []
    for directory in [HERE, HERE.parent.parent / "examples"]:
        found = sorted(directory.glob("*.cc"))
        assert found, f"there are no flows in {directory}"
        sources += [source for source in found if not options.flows or source.stem in options.flows]
    own = [source for source in sources if source.parent == HERE]
    failures = 0
    with tempfile.TemporaryDirectory() as directory:
        chain = pathlib.Path(directory) / "long_chain.cc"
        chain.write_text(long_chain(200))
        sources.append(chain)
        own.append(chain)
        for compiler in options.compiler:
            for flags, flows in [(FLAGS, sources), (FLAGS + SANITIZERS, own)]:
                failures += compile_all(compiler, flags, options, flows)
    print(f"{len(sources)} right flows, {len(options.compiler)} compilers, {failures} failures")
    return failures != 0


if __name__ == "__main__":
    sys.exit(main())
