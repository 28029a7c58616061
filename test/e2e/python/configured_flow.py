"""Everything that a flow gets before it runs: configs, files, parameters of every kind, decorators of deployment."""

import json
import os

from metaflow import (
    Config,
    FlowSpec,
    IncludeFile,
    JSONType,
    Parameter,
    config_expr,
    current,
    environment,
    exit_hook,
    project,
    retry,
    schedule,
    secrets,
    step,
    trigger,
)

FACTOR = 10


def pairs(text):
    return dict(line.split("=") for line in text.split())


def default_count(context):
    with open("evaluated", "a") as file:
        file.write(context.parameter_name)
    return context.configs.settings.count * 2


def hook(run):
    pass


@exit_hook(on_success=[hook], on_error=["other_hook"])
@trigger(event="arrived")
@schedule(weekly=True, timezone="Europe/Paris")
@project(name=config_expr("settings.project"))
class Configured(FlowSpec):
    """Is configured."""

    settings = Config("settings", default_value={"project": "first", "count": 1, "nested": {"level": "low"}, "times": 0})
    table = Config("table", default="table.txt", parser=pairs)
    raw = Config("raw", default_value="any text", plain=True)
    nothing = Config("nothing")

    text = IncludeFile("text", default="text.txt")
    data = IncludeFile("data", default=lambda context: "text.txt", is_text=False)
    parsed = IncludeFile("parsed", default="table.txt", parser=pairs)
    old = IncludeFile("old", default="latin.txt", encoding="latin-1")
    absent = IncludeFile("absent", required=False)

    count = Parameter("count", default=default_count, type=int)
    level = Parameter("level", default=config_expr("settings.nested.level.upper()"))
    several = Parameter("several", default=[1, 2], type=int, multiple=True)
    limits = Parameter("limits", default="[1]", type=JSONType)
    UNIT = "cm"

    @environment(vars={"LEVEL": settings.nested.level, "NUMBER": config_expr("str(settings.count * FACTOR)")})
    @retry(times=settings.times)
    @secrets(sources=[{"type": "inline", "id": "1", "options": {"env_vars": {"PASSWORD": "secret"}}}])
    @step(start=True)
    def begin(self):
        self.seen = [os.environ["LEVEL"], os.environ["NUMBER"], os.environ["PASSWORD"]]
        self.values = [self.settings.nested.level, self.settings["count"], self.table.a, self.raw, self.nothing, self.parsed["b"]]
        self.names = sorted(current.parameter_names)
        self.copy = json.dumps(self.settings)
        self.refused = []
        for change in ("self.settings.count = 2", "self.settings['count'] = 2", "self.text = ''", "self.settings = {}"):
            try:
                exec(change)
            except (TypeError, AttributeError) as error:
                self.refused.append(f"{type(error).__name__}: {error}")
        self.graph_steps = sorted(current.graph["steps"])
        self.next(self.finish)

    @step(end=True)
    def finish(self):
        self.after = [self.settings.nested.level, self.text, self.several, current.graph["start_step"], current.project_name]
        if os.environ.get("FAIL"):
            raise ValueError("asked to fail")


if __name__ == "__main__":
    Configured()
