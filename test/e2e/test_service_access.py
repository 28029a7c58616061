"""Who may talk to the metadata service, and what else there may be at its address."""

import pathlib
import sys


import s3

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "peers"))
from metadata_service import MetadataService  # noqa: E402
from metadata_service.faults import Faults  # noqa: E402
from test_service import service, with_service  # noqa: F401


def test_keys(cli):
    secret = "top-secret-key"
    with MetadataService(headers={"x-api-key": secret, "x-team": "risk"}) as service:
        cli.environment.update(service.environment)
        refused = cli("linear", "run", env={"METAFLOW_SERVICE_AUTH_KEY": "wrong-" + secret})
        assert refused.status == 1 and "403" in refused.err and "METAFLOW_SERVICE_AUTH_KEY" in refused.err
        assert secret not in refused.out + refused.err
        env = {"METAFLOW_SERVICE_AUTH_KEY": secret, "METAFLOW_SERVICE_HEADERS": '{"x-team": "risk", "X-API-Key": "other"}'}
        assert cli("linear", "run", env=env).status == 0
        for path in (cli.directory / ".metaflow").rglob("*"):
            assert path.is_dir() or secret.encode() not in path.read_bytes()
    bad = cli("linear", "run", env={"METAFLOW_SERVICE_HEADERS": f'{{"x": "{secret}\\n"}}'})
    assert bad.status == 1 and "METAFLOW_SERVICE_HEADERS" in bad.err and secret not in bad.err
    bad = cli("linear", "run", env={"METAFLOW_SERVICE_HEADERS": f"x-api-key: {secret}"})
    assert bad.status == 1 and "not a JSON object" in bad.err and secret not in bad.err


ONCE = {"METAFLOW_SERVICE_RETRY_COUNT": "1"}


def test_a_service_that_is_not_there(cli):
    env = {**ONCE, "METAFLOW_DEFAULT_METADATA": "service", "METAFLOW_SERVICE_URL": f"http://user:secret@127.0.0.1:{s3.free_port()}/x"}
    result = cli("linear", "run", env=env)
    assert result.status == 1
    assert "Metaflow service error" in result.err and "127.0.0.1" in result.err and "Check METAFLOW_SERVICE_URL" in result.err
    assert "secret" not in result.err
    assert not list((cli.directory / ".metaflow").glob("Linear/*/_parameters"))
    missing = cli("linear", "--metadata", "service", "run")
    assert missing.status == 1 and "Missing Metaflow Service URL" in missing.err and "METAFLOW_SERVICE_URL" in missing.err
    wrong = cli("linear", "run", env={**env, "METAFLOW_SERVICE_URL": "localhost:8080"})
    assert wrong.status == 1 and "not the URL of a metadata service" in wrong.err
    unknown = cli("linear", "--metadata", "remote", "run")
    assert unknown.status == 2 and "service, local" in unknown.err
    for command in ("show", "check", "version"):  # need none
        assert cli("linear", command, env=env).status == 0


def test_what_is_no_service(cli):
    class Page(Faults):
        async def around(self, request, handler):
            from aiohttp import web

            if request.path.startswith("/moved"):
                return web.Response(status=302, headers={"Location": "https://login.example/?token=secret"})
            return web.Response(text="<html>Metaflow UI</html>", content_type="text/html")

    with MetadataService(faults=Page()) as service:
        env = {**ONCE, **service.environment}
        result = cli("linear", "run", env=env)
        assert result.status == 1 and "is not a Metaflow metadata service" in result.err
        result = cli("linear", "run", env={**env, "METAFLOW_SERVICE_URL": service.url + "/moved"})
        assert result.status == 1 and "https://login.example/" in result.err and "secret" not in result.err


def test_a_service_that_is_too_old(cli):
    with MetadataService(version="2.0.3") as service:
        result = cli("linear", "run", env=service.environment)
        assert result.status == 1 and "has version 2.0.3, but 2.0.4 is required" in result.err
    with MetadataService(version="2.2.9") as service:
        run = cli.run("linear", env=service.environment)
        result = cli("linear", "tag", "add", "--run-id", run, "x", env=service.environment)
        assert result.status == 1 and "2.3.0 is required" in result.err


def test_two_services_with_one_store(cli):
    """Both begin to count at 1."""
    with MetadataService() as one:
        assert cli.run("linear", env=one.environment) == "1"
    with MetadataService() as other:
        result = cli("linear", "run", env=other.environment)
        assert result.status == 1 and "run Linear/1, but" in result.err and "datastore root" in result.err
