"""A plugin for pytest: notes the tests that were skipped because a program or package is missing.

Their reasons say "needs ..." or "... IS NOT TESTED". METAFLOW_SKIPPED names the file that gets one line per test.
METAFLOW_REQUIRE_ALL=1 makes these tests fail instead."""

import os

import pytest


def missing(report):
    """What such a test lacks; nothing for a test that ran, or that was skipped for another reason."""
    if not report.skipped or not isinstance(report.longrepr, tuple):
        return None
    reason = report.longrepr[2].removeprefix("Skipped: ")
    return reason if "NOT TESTED" in reason or reason.startswith("needs ") else None


def note(report):
    reason = missing(report)
    if reason is not None and "PYTEST_XDIST_WORKER" not in os.environ and "METAFLOW_SKIPPED" in os.environ:
        with open(os.environ["METAFLOW_SKIPPED"], "a") as file:
            file.write(reason.replace("\n", " ") + "\n")


def pytest_runtest_logreport(report):
    note(report)


def pytest_collectreport(report):  # a module that is skipped as a whole
    note(report)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport():
    outcome = yield
    report = outcome.get_result()
    reason = missing(report)
    if reason is not None and os.environ.get("METAFLOW_REQUIRE_ALL") == "1":
        report.outcome = "failed"
        report.longrepr = f"METAFLOW_REQUIRE_ALL=1: {reason}"
