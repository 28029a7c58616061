"""Flows in Python: configs, files, parameters and decorators, those of deployment too."""

import json
import re
import sys

import pytest

import s3
from conftest import SANITIZED
from python_cli import CONFIGURED, HEAD, SETTINGS, TAIL

pytestmark = pytest.mark.skipif(SANITIZED, reason="an instrumented library cannot be loaded into an interpreter that is not")


def data_of(run):
    return {(step.id, artifact.id): artifact.data for step in run for artifact in step.task}


def test_resume_of_a_run_of_the_reference_with_files(configured, client):
    """Its artifact of a file says where the content is."""
    ids = configured.cli.directory / "ids"
    assert configured.cli.python("configured", "--config", "settings", "settings.json", "run", env={"FAIL": "1"}).status == 1
    result = configured.unchanged(CONFIGURED, "resume", "--run-id-file", ids)
    assert result.status == 0 and "cloned!" in result.out, result
    assert client.Run("Configured/" + ids.read_text())["finish"].task.data.after[:2] == ["high", "some text\nlines\nmore\n"]


def test_the_reference_resumes_a_run_with_files(configured, client):
    """Its tasks find the content in our store."""
    cli, ids = configured.cli, configured.cli.directory / "ids"
    result = configured.unchanged(CONFIGURED, "--config", "settings", "settings.json", "run", "--run-id-file", ids, env={"FAIL": "1"})
    assert result.status == 1 and "asked to fail" in result.out, result
    (cli.directory / "text.txt").unlink()
    origin = ids.read_text()
    result = cli.python("configured", "resume", "--origin-run-id", origin, "--run-id-file", ids)
    assert result.status == 0, result
    assert client.Run("Configured/" + ids.read_text())["finish"].task.data.after[:2] == ["high", "some text\nlines\nmore\n"]


def test_files_are_in_the_store(configured, client):
    """Wherever it is: what the artifact says about its place is for the reference."""
    head = HEAD.replace("retry", "IncludeFile").replace("    @step\n", "    f = IncludeFile('f', default='text.txt')\n    e = IncludeFile('e', default='empty')\n    @step\n", 1)
    body = "        self.next(self.left, self.right)\n\n    @step\n    def left(self):\n        self.next(self.join)\n\n    @step\n    def right(self):\n"
    body += "        self.next(self.join)\n\n    @step\n    def join(self, inputs):\n        print(len(self.f), len(inputs.left.f), repr(inputs[0].e))\n"
    (configured.cli.directory / "empty").touch()
    flow = configured.write(head + body + "        self.next(self.end)" + TAIL)
    result = configured(flow, "run")
    assert result.status == 0 and "] 21 21 ''\n" in result.out, result
    (configured.cli.directory / ".metaflow").rename(configured.cli.directory / "moved")
    (configured.cli.directory / "elsewhere").mkdir()
    (configured.cli.directory / "moved").rename(configured.cli.directory / "elsewhere/.metaflow")
    elsewhere = {"METAFLOW_DATASTORE_SYSROOT_LOCAL": str(configured.cli.directory / "elsewhere")}
    result = configured(flow, "resume", "join", env=elsewhere)
    assert result.status == 0 and "cloned!" in result.out and "] 21 21 ''\n" in result.out, result
    program = "from metaflow_cpp import Flow, namespace; namespace(None); print(repr(Flow('F1').latest_run['join'].task.data.f))"
    result = configured.cli.execute([sys.executable, "-B", "-c", program], env=elsewhere)
    assert result.out == repr("some text\nlines\nmore\n") + "\n", result


def test_resume_with_a_config_that_the_run_does_not_have(py):
    text = HEAD + "        self.next(self.end)" + TAIL
    assert py.unchanged(py.write(text), "run").status == 0
    field = "    settings = Config('settings', default_value={})\n    @step\n"
    changed = text.replace("from metaflow_cpp import", "from metaflow_cpp import Config,").replace("    @step\n", field, 1)
    result = py.unchanged(py.write(changed), "resume", "end")
    assert result.status == 1 and re.search(r"Run \d+ has no config settings: the flow got it after the run\. Start a new run\.", result.err + result.out), result


@pytest.mark.parametrize(
    "options, words, environment, level",
    [
        ([], [], {}, "low"),
        (["--config", "settings", "settings.json", "--config-value", "nothing", '{"x": 1}'], ["--several", "7", "--several", "8"], {}, "high"),
        (["--config", "table", "other.txt"], ["--text", "other.txt", "--count=4", "--absent", "text.txt"],
         {"METAFLOW_FLOW_CONFIG_VALUE": json.dumps({"settings": SETTINGS})}, "high"),
        ([], [], {"METAFLOW_FLOW_CONFIG": '{"settings": "settings.json"}', "METAFLOW_RUN_TEXT": "other.txt", "METAFLOW_RUN_SEVERAL": "5 6"}, "high"),
    ],
    ids=["defaults", "options", "mixed", "environment"],
)  # fmt: skip
def test_configs_and_files_are_those_of_the_reference(configured, client, options, words, environment, level):
    """The same file by both engines: the same artifacts, also _graph_info."""
    ids = configured.cli.directory / "ids"
    result = configured.unchanged(CONFIGURED, *options, "run", "--run-id-file", ids, *words, env=environment)
    assert result.status == 0, result
    ours = client.Run("Configured/" + ids.read_text())
    result = configured.cli.python("configured", *options, "run", "--run-id-file", ids, *words, env=environment)
    assert result.status == 0, result
    theirs = client.Run("Configured/" + ids.read_text())
    assert data_of(ours) == data_of(theirs)
    assert ours["begin"].task.data.seen[0] == level and f"project:{'first' if level == 'low' else 'second'}" in ours.tags
    graphs = [run["_parameters"].task["_graph_info"].data for run in (ours, theirs)]
    for part in ("decorators", "constants", "parameters", "start_step", "end_step", "graph_structure", "doc"):
        assert sorted(map(str, graphs[0][part])) == sorted(map(str, graphs[1][part])), part
    mine, other = ([each["name"] for each in graph["steps"]["begin"]["decorators"]] for graph in graphs)
    assert sorted(mine) == sorted(other)
    evaluated = configured.cli.directory / "evaluated"
    assert (evaluated.read_text() if evaluated.exists() else "") == ("" if "--count=4" in words else "count" * 2)  # once by each engine


def test_resume_has_the_configs_of_its_origin(configured, client):
    result = configured.unchanged(CONFIGURED, "--config", "settings", "settings.json", "run", env={"FAIL": "1"})
    assert result.status == 1 and "asked to fail" in result.out, result
    (told,) = re.findall(r"To rerun only this task: (.*)$", result.out, re.MULTILINE)
    assert configured.cli.execute(["bash", "-c", told]).status == 0
    ids = configured.cli.directory / "ids"
    result = configured.unchanged(CONFIGURED, "resume", "--run-id-file", ids)
    assert result.status == 0, result
    assert client.Run("Configured/" + ids.read_text())["finish"].task.data.after[0] == "high"


@pytest.mark.parametrize(
    "options, words, status, text",
    [
        (["--config", "settings", "gone.json"], [], 2, "configuration file 'gone.json' could not be read for 'settings': No such file or directory"),
        (["--config-value", "settings", "{"], [], 2, "configuration value for 'settings' is not valid JSON"),
        (["--config", "nope", "gone.json"], [], 2, "'nope' is not a config of flow Configured. Its configs: nothing, raw, settings, table"),
        (["--config", "raw", "text.txt", "--config-value", "raw", "x"], [], 2, "Cannot provide both a value and a file for the same configuration"),
        (["--config-value", "table", "a"], [], 2, "configuration value for 'table' could not be parsed: ValueError"),
        (["--config-value", "settings", "{}"], [], 1, "Config expression 'settings.project' could not be evaluated: AttributeError: project"),
        ([], ["--text", "gone.txt"], 2, "Invalid value for '--text': IncludeFile: could not open file 'gone.txt' for reading: No such file"),
        ([], ["--text", "s3://bucket/x"], 2, "it is not a local file"),
        ([], ["--text", "latin.txt"], 2, "Use is_text=False for a file that is not text"),
        ([], ["--several", "x"], 2, "Invalid value for '--several': x is not a valid int"),
    ],
)  # fmt: skip
def test_what_is_given_is_checked_before_the_run(configured, options, words, status, text):
    result = configured.unchanged(CONFIGURED, *options, "run", *words)
    assert result.status == status and text in result.err and "Traceback" not in result.err, result
    assert "Workflow starting" not in result.out


def test_help_names_the_configs(configured):
    out = " ".join(configured.unchanged(CONFIGURED, "--help").out.split())
    assert "--config NAME PATH Read a config from a file. Configs of this flow: settings, table, raw, nothing." in out, out
    assert "--config-value NAME VALUE" in out


def test_other_commands_need_no_config(py):
    head = HEAD.replace("retry", "retry, Config")
    head = head.replace("    @step", "    c = Config('c', required=True)\n    @retry(times=c.times)\n    @step", 1)
    path = py.write(head + "        self.next(self.end)" + TAIL)
    assert py(path, "--config-value", "c", '{"times": 0}', "run").status == 0
    result = py(path, "run")
    assert result.status == 2 and "missing configuration for 'c'" in result.err, result
    assert py(path, "status").status == 0 and py(path, "logs", "latest/end").status == 0


@pytest.mark.parametrize(
    "imported, above, words",
    [
        ("conda", "    @conda(libraries={'x': '1'})\n", "@conda is not supported: steps use the packages of the Python that runs the flow."),
        ("pypi_base", "", "@pypi_base is not supported"),
        ("parallel", "    @parallel\n", "@parallel is not supported"),
        ("schedule", "    @schedule(daily=True)\n", "Decorator 'schedule' must be above a flow, not above a step."),
        ("secrets", "    @secrets(source=[])\n", "Decorator 'secrets' does not support the attribute 'source'."),
        ("secrets", "    @secrets(sources=['az-key-vault.x'])\n", "Secret 'x' is in 'az-key-vault', which metaflow_cpp cannot read."),
        ("secrets", "    @secrets(sources=['inline.x'], role=5)\n", "Bad @secrets specification - 'role' must be a str - found <class 'int'>"),
        ("user_step_decorator", "    @user_step_decorator\n", "metaflow_cpp has no decorators of users"),
    ],
)
def test_decorators_that_cannot_be_used_are_said(py, imported, above, words):
    head = HEAD.replace("retry", imported).replace("    @step\n", above + "    @step\n", 1)
    if imported == "pypi_base":
        head = head.replace("class F1", "@pypi_base(packages={})\nclass F1")
    result = py(py.write(head + "        self.next(self.end)" + TAIL), "run")
    assert result.status == 1 and words in result.err + result.out, result


@pytest.mark.skipif(not s3.has_moto(), reason="SECRETS ARE NOT TESTED: that needs moto[server,s3] and boto3 from PyPI")
def test_secrets_of_aws(py, moto):
    """Secrets Manager, as moto has it: an object of JSON, a text, bytes."""
    import boto3

    url = moto.url
    environment = {**moto.environment, "AWS_ENDPOINT_URL": url}
    client = boto3.client("secretsmanager", endpoint_url=url, aws_access_key_id="k", aws_secret_access_key="s", region_name="us-east-1")
    client.create_secret(Name="object", SecretString='{"a-b": 1, "c": "text"}')
    client.create_secret(Name="one/text", SecretString="plain")
    client.create_secret(Name="bytes", SecretBinary=b"\x00\x01")
    sources = ["aws-secrets-manager.object", {"type": "aws-secrets-manager", "id": "one/text", "options": {"json": False, "env_var_name": "ONE"}}]
    sources.append("aws-secrets-manager.bytes")
    head = HEAD.replace("retry", "secrets").replace("    @step\n", f"    @secrets(sources={sources})\n    @step\n", 1)
    body = "        import os\n        print([os.environ[name] for name in ('a_b', 'c', 'ONE', 'bytes')])\n        self.next(self.end)"
    result = py(py.write(head + body + TAIL), "run", env=environment)
    assert result.status == 0 and "['1', 'text', 'plain', 'AAE=']" in result.out, result
    role = head.replace("])\n", "], role='arn:aws:iam::123456789012:role/reader')\n", 1)
    result = py(py.write(role + body + TAIL), "run", env=environment)
    assert result.status == 0 and "['1', 'text', 'plain', 'AAE=']" in result.out, result
    own_role = "{'type': 'aws-secrets-manager', 'id': 'object', 'role': 'arn:own'}"
    for source, assumed, variables in (
        (role, "arn:aws:iam::123456789012:role/reader", {"METAFLOW_DEFAULT_SECRETS_ROLE": "arn:default"}),
        (role.replace("'aws-secrets-manager.object'", own_role), "arn:own", {}),
        (head, "arn:default", {"METAFLOW_DEFAULT_SECRETS_ROLE": "arn:default"}),
    ):
        variables = {**environment, **variables, "AWS_ENDPOINT_URL_STS": "http://127.0.0.1:9"}  # nothing listens there
        result = py(py.write(source + body + TAIL), "run", env=variables)
        assert result.status == 1 and f"role '{assumed}' with the credentials of the environment" in result.out, result
    result = py(py.write(head.replace(".object", ".nothing") + body + TAIL), "run", env=environment)
    assert result.status == 1 and "Failed to retrieve secret 'nothing':" in result.out and "Secrets Manager can't find" in result.out, result


def test_packages_that_are_disabled_and_cards_are_ignored(py):
    head = HEAD.replace("retry", "conda, card, current").replace("    @step\n", "    @card(type='blank')\n    @conda(disabled=True)\n    @step\n", 1)
    result = py(py.write(head + "        current.card.append('x')\n        self.next(self.end)" + TAIL), "run")
    assert result.status == 0 and result.err.count("@card") == 1, result
    result = py(py.write((head + "        self.next(self.end)" + TAIL).replace("disabled=True", "")), "run", env={"METAFLOW_IGNORE_PACKAGES": "1"})
    assert result.status == 0, result


@pytest.mark.parametrize(
    "fields, words",
    [
        ("default=lambda _: 1", "The value returned by the deploy-time function for the parameter *p* field *default* has a wrong type. Expected a string."),
        ("default=lambda _: 1 / 0", "When evaluating the field *default* for the Parameter *p*, the following exception occurred:"),
        ("type=list, separator=','", "Parameter *p*: Separator is only allowed for string parameters."),
        ("required=lambda _: True", "Parameter *p*: Field 'required' cannot have a function as its value"),
        ("type=bytes", "Parameter *p* has the type <class 'bytes'>, but the type of a parameter is str, int, float, bool or JSONType"),
        ("defualt=1", "Parameter *p* has no field 'defualt'."),
    ],
)
def test_invalid_parameters(py, fields, words):
    head = HEAD.replace("retry", "Parameter").replace("    @step\n", f"    p = Parameter('p', {fields})\n    @step\n", 1)
    result = py(py.write(head + "        self.next(self.end)" + TAIL), "run")
    assert result.status == 1 and words in result.err, result


def test_json_is_what_python_reads(py, client):
    """Also whole numbers of any size, and numbers that are none."""
    head = HEAD.replace("retry", "JSONType, Parameter").replace("    @step\n", "    p = Parameter('p', type=JSONType)\n    @step\n", 1)
    flow = py.write(head + "        self.next(self.end)" + TAIL)
    ids = py.cli.directory / "ids"
    big = 123456789012345678901234567890
    assert py(flow, "run", "--run-id-file", ids, "--p", f'[{big}, NaN, {{"a": 1.0}}]').status == 0
    value = client.Run("F1/" + ids.read_text())["start"].task.data.p
    assert value[0] == big and value[1] != value[1] and value[2] == {"a": 1.0} and type(value[2]["a"]) is float
    result = py(flow, "run", "--p", "{")
    assert result.status == 2 and "Invalid value for '--p': { is not a valid JSON: Expecting" in result.err, result
