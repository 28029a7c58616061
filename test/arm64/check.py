"""The unit tests, a flow and its package on arm64, executed by QEMU. For dev/arm64, in test/arm64/in_qemu.

QEMU executes processes of another architecture on this kernel. It shows faults of compiled code, of structures and of numbers of system calls.
It shows nothing of memory ordering, page sizes or processors: no hardware stands behind these tests.

usage: check.py BUILD
"""

import os
import pathlib
import re
import subprocess
import sys
import tarfile
import tempfile

BUILD = pathlib.Path(sys.argv[1]).resolve()
FLOW = BUILD / "examples" / "sweep"

# What QEMU 7.2 does differently from Linux on arm64, with the tests that it affects.
NOT_IN_QEMU = {
    # The fork server reports that it cannot start processes, and tasks are executed instead.
    "it has no clone() with CLONE_PARENT": [
        "ForkServerTest.CopiesStartAsIfExecuted",
        "ForkServerTest.UnsuitableProcessesAreLeftToExec",
        "ForkServerTest.AFailureOfForkIsReported",
        "LocalBackendWithForkServer.*",
    ],
    # posix_spawn does not report that a program does not exist or does not fit, and the child leads no group yet.
    "its vfork() is fork(): it does not share memory, and does not wait": [
        "Capture.FailuresAreErrors",
        "Process.TooLongArgumentsAreNamed",
        "Process.ATemporaryShortageIsNoRoom",
        "Process.AReplacedProgramStartsItsOriginalFile",
        "Process.LeadsAGroup",
    ],
    # Orphans of a child become children of init, so no guard finds them, and the test waits forever.
    "its prctl() refuses PR_SET_CHILD_SUBREAPER": [
        "Guard.ABlockedChildIsKilledAfterTheSecondRequest",
        "Guard.NoDescendantIsLeft",
        "LocalBackendTest.OrphansOfAFailedAttemptAreKilled",
    ],
    "/etc/ld.so.cache is that of this machine; libraries for arm64 have the names that they have in build/arm64-root": [
        "Libraries.OfThisProgram",
        "Libraries.GivenByPath",
    ],
    "it executes code slowly: hundreds of megabytes are hashed": [
        "All/StorageTest.*",
        "JoinTest.*",
    ],
    # A thread writes to pipes instead, so lines of two streams come in another order.
    "it has no pwritev2()": [
        "ContainerStreamsTest.*",
    ],
    "it translates each program when it starts, and delays signals: limits of time are exceeded": [
        "All/BackendTest.*",
        "AnyOrder.*",
        "Decorators.TooLargeVariablesAreRejected",
        "Expansion.CallsCannotMultiplyTheirArguments",
        "Guard.*",
        "KubernetesCredentialsTest.EndsAPluginThatRuns",
        "LeaseSimulation.*",
        "LocalBackendWithRequests.StepThatRequestsTheWholeHostWaitsForIt",
        "ReporterTest.DroppedLinesAreReportedAtTheEnd",
        "Run.AnyOrderOfTaskEndsAndStoreAnswers",
        "RunClone.*",
        "RunStop.*",
        "RunStore.*",
        "Supervise.*",
        "TaskLogTest.LogWithoutRoomIsShownAndTruncated",
    ],
}


def run(*words, directory, status=0):
    environment = {**os.environ, "METAFLOW_CLIENT_CACHE_PATH": str(directory / "cache")}
    process = subprocess.run(list(map(str, words)), cwd=directory, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.returncode == status, f"{words}: status {process.returncode}\n{process.stdout}"
    return process.stdout


def check_flow(directory):
    """A flow of 40 tasks and more. The Python client of this machine reads its results."""
    output = run(FLOW, "run", "--n", "40", "--max-num-splits", "100", directory=directory)
    assert output.endswith("Done!\n"), output
    minimum = re.search(r"The minimum of 40 points is (\S+) at", output)[1]
    read = "from metaflow import Flow, namespace; namespace(None); run = Flow('Sweep').latest_run; print(len(list(run['work'])), '%f' % run.data.best)"
    client = run(sys.executable, "-c", read, directory=directory)
    assert client.splitlines()[-1] == f"40 {minimum}", client


def check_package(directory):
    """The package is for arm64: its loader, its libraries and the program."""
    output = run(FLOW, "package", "list", directory=directory)
    assert re.search(r" lib/ld\.so +\S*/ld-linux-aarch64\.so\.1$", output, re.MULTILINE), output
    run(FLOW, "package", "save", "flow.tgz", directory=directory)
    with tarfile.open(directory / "flow.tgz") as archive:
        for member in archive:
            head = archive.extractfile(member).read(20) if member.isfile() else b""
            assert not head.startswith(b"\x7fELF") or head[18:20] == b"\xb7\x00", f"{member.name} is not for arm64"


def main():
    filter = "--gtest_filter=-" + ":".join(test for tests in NOT_IN_QEMU.values() for test in tests)
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        print(run(BUILD / "test" / "unit_tests", "--gtest_brief=1", filter, directory=directory), end="", flush=True)
        check_flow(directory)
        check_package(directory)
    print("The unit tests, a flow and its package work for arm64.")


if __name__ == "__main__":
    main()
