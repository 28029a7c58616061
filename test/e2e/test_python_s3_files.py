"""Files of an IncludeFile in S3: what one engine has stored, the other reads."""

import re

import pytest

from conftest import SANITIZED
from python_cli import CONFIGURED
from test_python_s3 import place, server  # noqa: F401

pytestmark = pytest.mark.skipif(SANITIZED, reason="an instrumented library cannot be loaded into an interpreter that is not")

S3 = ("--datastore", "s3")
CONTENT = repr(["high", "some text\nlines\nmore\n"]) + "\n"


def content_of(cli):
    """As the official client reads it, in a process of its own: the client reads the address of S3 once."""
    run = (cli.directory / "id").read_text()
    return cli.read(f"import metaflow; print(metaflow.Run('Configured/{run}', _namespace_check=False)['finish'].task.data.after[:2])").out


@pytest.mark.parametrize("server", ["moto"], indirect=True)  # the official Metaflow takes its time
def test_resume_of_a_run_of_the_reference_with_files(place, configured, server):  # noqa: F811
    """Its files are in S3."""
    assert configured.cli.python("configured", *S3, "--config", "settings", "settings.json", "run", env={"FAIL": "1"}).status == 1
    result = configured.unchanged(CONFIGURED, *S3, "resume", "--run-id-file", "id")
    assert result.status == 0 and "cloned!" in result.out, result
    assert content_of(configured.cli) == CONTENT
    bucket, prefix = place.removeprefix("s3://").split("/", 1)
    for stored in server.client().list_objects_v2(Bucket=bucket, Prefix=f"{prefix}/data/Configured/")["Contents"]:
        server.client().delete_object(Bucket=bucket, Key=stored["Key"])
    result = configured.unchanged(CONFIGURED, *S3, "resume", "finish")
    assert result.status == 1 and re.search(r"The file of parameter '\w+' cannot be read: URL not found: s3://", result.out), result


@pytest.mark.parametrize("server", ["moto"], indirect=True)  # the official Metaflow takes its time
def test_the_reference_resumes_a_run_with_files(place, configured):  # noqa: F811
    cli = configured.cli
    result = configured.unchanged(CONFIGURED, *S3, "--config", "settings", "settings.json", "run", "--run-id-file", "id", env={"FAIL": "1"})
    assert result.status == 1 and "asked to fail" in result.out, result
    (cli.directory / "text.txt").unlink()
    origin = (cli.directory / "id").read_text()
    result = configured.unchanged(CONFIGURED, *S3, "resume", "--origin-run-id", origin, "--run-id-file", "id")
    assert result.status == 0 and content_of(cli) == CONTENT, result
    result = cli.python("configured", *S3, "resume", "--origin-run-id", origin, "--run-id-file", "id")
    assert result.status == 0 and content_of(cli) == CONTENT, result
