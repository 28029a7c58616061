"""What the service keeps, and what its database says to what breaks a rule."""

import json
import re
import time

WAIT_SECONDS = 10
LONGEST = 255  # characters, of everything but the values of metadata
SHOWN = {  # the columns of each table, in the order of the service's answers
    "artifact": "name location ds_type sha type content_type user_name attempt_id ts_epoch tags system_tags".split(),
    "metadata": "field_name value type user_name ts_epoch tags system_tags".split(),
}


class Refused(Exception):
    def __init__(self, status, body):
        super().__init__(status)
        self.status, self.body = status, body


def database_error(status, code):
    """The service puts JSON into JSON."""
    error = {"pgerror": f"ERROR: {code}", "pgcode": code, "diag": {"message_primary": code, "severity": "ERROR"}}
    return Refused(status, json.dumps({"err_msg": error}))


def duplicate():
    return database_error(409, "23505")


def no_parent():
    return database_error(404, "23503")


def not_found():
    return Refused(404, {})


def broken(detail):
    body = {"traceback": "Traceback ...", "detail": detail, "status": 500, "title": "Internal Server Error", "type": "about:blank"}
    return Refused(500, body)


def milliseconds():
    return int(time.time() * 1000)


def sends_heartbeats(system_tags):
    """Whether the version in the tags is one that does: then an object counts as alive from its beginning."""
    if system_tags is None:
        return True
    tags = [tag for tag in system_tags if tag.startswith("metaflow_version:")]
    if not tags:
        return False
    found = re.match(r"\d+(\.\d+)*", tags[0].removeprefix("metaflow_version:"))
    if not found:
        return True
    return tuple(map(int, found[0].split("."))) >= (2, 2, 12)


def is_number(text):
    return str(text).isnumeric()


class Tables:
    def __init__(self):
        self.flows = {}
        self.runs, self.tasks = {}, {}  # by number
        self.steps = {}  # by (run, name)
        self.metadata, self.artifacts = [], {}  # artifacts by (task, attempt, name)
        self.last_run = self.last_task = self.last_metadatum = 0

    # --- looking for objects

    def run(self, flow, name):
        if is_number(name) and int(name) > 2**31 - 1:
            raise database_error(500, "22003")
        for run in self.runs.values():
            if run["flow_id"] == flow and str(run["run_number" if is_number(name) else "run_id"]) == name:
                return run
        raise not_found()

    def run_to_write(self, flow, name):
        try:
            return self.run(flow, name)
        except Refused:
            raise broken("'run_number'") from None

    def find_tasks(self, flow, run, step=None):
        number = self.run_number(flow, run)
        return [task for task in self.tasks.values() if task["run_number"] == number and step in (None, task["step_name"])]

    def run_number(self, flow, name):
        """None if there is no such run: lists are empty then."""
        try:
            return self.run(flow, name)["run_number"]
        except Refused as refused:
            if refused.status != 404:
                raise
            return None

    def task(self, flow, run, step, name):
        for task in self.find_tasks(flow, run, step):
            if str(task["task_id" if is_number(name) else "task_name"]) == name:
                return task
        raise not_found()

    # --- as they are shown

    def tags_of(self, run_number):
        run = self.runs[run_number]
        return {"tags": run["tags"], "system_tags": run["system_tags"]}

    def shown_run(self, run, is_new=False):
        row = {name: run[name] for name in ("flow_id", "user_name", "ts_epoch", "tags", "system_tags", "last_heartbeat_ts")}
        row["run_number"] = run["run_id"] or run["run_number"]
        if not is_new and f"user:{run['user_name']}" in (run["system_tags"] or []):
            row["user"] = run["user_name"]
        return row

    def shown_step(self, step):
        run = self.runs[step["run_number"]]
        row = {name: step[name] for name in ("flow_id", "step_name", "user_name", "ts_epoch")}
        return row | {"run_number": run["run_id"] or str(run["run_number"])} | self.tags_of(step["run_number"])

    def shown_task(self, task):
        run = self.runs[task["run_number"]]
        row = {name: task[name] for name in ("flow_id", "step_name", "user_name", "ts_epoch", "last_heartbeat_ts")}
        row["run_number"] = run["run_id"] or run["run_number"]
        row["task_id"] = task["task_name"] or task["task_id"]
        return row | self.tags_of(task["run_number"])

    def shown_row(self, table, row):
        task = self.tasks[row["task_id"]]
        shown = {name: row[name] for name in SHOWN[table]}
        about = self.shown_task(task)
        shown |= {name: about[name] for name in ("flow_id", "run_number", "step_name", "task_id")}
        return shown | ({"id": row["id"]} if table == "metadata" else self.tags_of(task["run_number"]))

    # --- making them

    def new_flow(self, flow, body):
        if flow in self.flows:
            raise duplicate()
        row = {"flow_id": flow, "ts_epoch": milliseconds()} | {name: body.get(name) for name in ("user_name", "tags", "system_tags")}
        self.flows[flow] = row
        return row

    def new_run(self, flow, body):
        name = body.get("run_number")
        if name and is_number(name):
            raise broken("provided run_id may not be a numeric")
        self.last_run += 1  # also in vain
        if flow not in self.flows:
            raise no_parent()
        if name and any(run["flow_id"] == flow and run["run_id"] == name for run in self.runs.values()):
            raise duplicate()
        self.runs[self.last_run] = {
            "flow_id": flow, "run_number": self.last_run, "run_id": name, "user_name": body.get("user_name"),
            "tags": body.get("tags"), "system_tags": body.get("system_tags"), "ts_epoch": milliseconds(),
            "last_heartbeat_ts": int(time.time()) if sends_heartbeats(body.get("system_tags")) else None,
        }  # fmt: skip
        return self.shown_run(self.runs[self.last_run], is_new=True)

    def new_step(self, flow, run, step, body):
        number = self.run_to_write(flow, run)["run_number"]
        if (number, step) in self.steps:
            raise duplicate()
        row = {"flow_id": flow, "run_number": number, "step_name": step, "user_name": body.get("user_name", "")}
        self.steps[number, step] = row | {"ts_epoch": milliseconds()}
        return self.shown_step(self.steps[number, step])

    def new_task(self, flow, run, step, body):
        name = body.get("task_id")
        if name and is_number(name):
            raise Refused(500, None)
        found = self.run_to_write(flow, run)
        self.last_task += 1
        if (found["run_number"], step) not in self.steps:
            raise no_parent()
        if name and any(task["task_name"] == name for task in self.find_tasks(flow, run, step)):
            raise duplicate()
        alive = int(time.time()) if sends_heartbeats(body.get("system_tags")) else None
        self.tasks[self.last_task] = {
            "flow_id": flow, "run_number": found["run_number"], "step_name": step, "task_id": self.last_task,
            "task_name": name, "user_name": body.get("user_name"), "ts_epoch": milliseconds(), "last_heartbeat_ts": alive,
        }  # fmt: skip
        if alive:
            found["last_heartbeat_ts"] = alive
        return self.shown_task(self.tasks[self.last_task])

    def add_metadata(self, task, rows):
        """How many were taken; the others are left out, without a word."""
        count = 0
        for row in rows:
            datum = {name: row.get(name, " ") for name in ("field_name", "value", "type")}
            if not all(isinstance(text, str) and "\0" not in text for text in datum.values()):
                continue
            if max(len(datum["field_name"]), len(datum["type"])) > LONGEST:
                continue
            self.last_metadatum += 1
            datum |= {name: row.get(name) for name in ("user_name", "tags", "system_tags")}
            self.metadata.append(datum | {"id": self.last_metadatum, "task_id": task["task_id"], "ts_epoch": milliseconds()})
            count += 1
        return count

    def add_artifacts(self, task, rows):
        count = 0
        for row in rows:
            artifact = {name: row.get(name, " ") for name in SHOWN["artifact"]}
            artifact |= {"attempt_id": int(row.get("attempt_id", 0)), "task_id": task["task_id"], "ts_epoch": milliseconds()}
            key = (task["task_id"], artifact["attempt_id"], artifact["name"])
            if key in self.artifacts or any(isinstance(text, str) and len(text) > LONGEST for text in artifact.values()):
                continue
            self.artifacts[key] = artifact
            count += 1
        return count

    # --- reading lists

    def artifacts_of(self, tasks, attempt=None, latest=True):
        """Those of the attempt, or of the newest one of each task that has any."""
        numbers = {task["task_id"] for task in tasks}
        rows = [row for row in self.artifacts.values() if row["task_id"] in numbers]
        if attempt is not None:
            rows = [row for row in rows if row["attempt_id"] == attempt]
        elif latest:
            newest = {}
            for row in rows:
                newest[row["task_id"]] = max(row["attempt_id"], newest.get(row["task_id"], 0))
            rows = [row for row in rows if row["attempt_id"] == newest[row["task_id"]]]
        return [self.shown_row("artifact", row) for row in rows]

    def metadata_of(self, tasks):
        numbers = {task["task_id"] for task in tasks}
        rows = sorted((row for row in self.metadata if row["task_id"] in numbers), key=lambda row: (-row["ts_epoch"], -row["id"]))
        return [self.shown_row("metadata", row) for row in rows]

    def filtered_tasks(self, flow, run, step, field, pattern):
        found = set()
        numbers = {task["task_id"] for task in self.find_tasks(flow, run, step)}
        for row in self.metadata:
            if row["task_id"] in numbers and field in (None, "", row["field_name"]) and re.search(pattern or "", row["value"]):
                found.add(row["task_id"])
        shown = [self.shown_task(self.tasks[number]) for number in sorted(found)]
        return [f"{task['flow_id']}/{task['run_number']}/{task['step_name']}/{task['task_id']}" for task in shown]

    # --- changing them

    def beat(self, row):
        """False: the last one was less than the period ago, or there is nothing of the name."""
        now = int(time.time())
        if row is None or (row["last_heartbeat_ts"] is not None and row["last_heartbeat_ts"] > now - WAIT_SECONDS):
            return False
        row["last_heartbeat_ts"] = now
        return True

    def mutate_tags(self, flow, run, body):
        add, remove = body.get("tags_to_add", []), body.get("tags_to_remove", [])
        for name, tags in (("tags_to_add", add), ("tags_to_remove", remove)):
            if not isinstance(tags, list):
                raise Refused(400, f"{name} must be a list")
        if not all(isinstance(tag, str) for tag in add + remove):
            raise Refused(400, "All tag values must be strings")
        row = self.run(flow, run)
        system = set(row["system_tags"])
        if system & set(remove):
            raise Refused(422, f"Cannot remove tags that are existing system tags {system & set(remove)}")
        row["tags"] = list((set(row["tags"]) - set(remove)) | (set(add) - system))
        return {"tags": row["tags"]}
