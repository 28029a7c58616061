"""A conversation with a metadata service, to compare the stand-in's answers with those of the real one:
python -m metadata_service.replay http://host:8080 > recorded.json"""

import json
import re
import sys
import urllib.error
import urllib.request

SYSTEM = ["user:me", "metaflow_version:2.19.38+cpp0.1.0", "language:c++"]
RUN, STEP = "/flows/FLOW/runs/$RUN", "/flows/FLOW/runs/$RUN/steps/s"
TASK, NO_TASK = STEP + "/tasks/$TASK", STEP + "/tasks/888888"
DATUM = {"field_name": "attempt", "value": "0", "type": "attempt", "user_name": "me", "tags": ["attempt_id:0"], "system_tags": []}
ROW = {"name": "a", "location": ":root:/x", "ds_type": "local", "sha": "ab", "type": "metaflow.artifact", "content_type": "pickle-v4",
       "attempt_id": 0, "user_name": "me", "tags": [], "system_tags": []}  # fmt: skip
NEW = {"user_name": "me", "tags": [], "system_tags": SYSTEM}

# method, path, body (bytes: as they are)
REQUESTS = [
    ("GET", "/ping", None), ("GET", "/nothing", None), ("GET", "/flows/FLOW", None), ("POST", "/flows/FLOW/run", NEW),
    ("POST", "/flows/FLOW", {"user_name": "me", "tags": [], "system_tags": []}), ("POST", "/flows/FLOW", {"user_name": "me"}),
    ("GET", "/flows/FLOW", None), ("POST", "/flows/FLOW/run", {"user_name": "me", "tags": ["a"], "system_tags": SYSTEM}),
    ("POST", "/flows/FLOW/run", {"user_name": "me", "run_number": "123"}),
    ("POST", "/flows/FLOW/run", {"user_name": "me", "run_number": "argo-x", "tags": [], "system_tags": []}),
    ("POST", "/flows/FLOW/run", {"user_name": "me", "run_number": "argo-x"}),
    ("GET", RUN, None), ("GET", "/flows/FLOW/runs/999999", None), ("GET", "/flows/FLOW/runs/17000000000000000", None),
    ("GET", "/flows/FLOW/runs/argo-x", None), ("POST", STEP + "/task", NEW), ("POST", STEP + "/step", NEW),
    ("POST", STEP + "/step", {"user_name": "me"}), ("POST", "/flows/FLOW/runs/999999/steps/s/step", {"user_name": "me"}),
    ("POST", "/flows/FLOW/runs/999999/steps/s/task", {"user_name": "me"}), ("GET", RUN + "/steps", None), ("GET", STEP, None),
    ("GET", RUN + "/steps/x", None), ("POST", STEP + "/task", NEW | {"tags": ["zz"]}),
    ("POST", STEP + "/task", {"user_name": "me", "task_id": "12"}), ("POST", STEP + "/task", {"user_name": "me", "task_id": "t-1"}),
    ("POST", STEP + "/task", {"user_name": "me", "task_id": "t-1"}), ("GET", TASK, None), ("GET", NO_TASK, None),
    ("GET", STEP + "/tasks", None), ("GET", RUN + "/steps/x/tasks", None), ("POST", TASK + "/metadata", [DATUM]),
    ("POST", TASK + "/metadata", [DATUM, DATUM | {"field_name": "x" * 300}, DATUM | {"value": None}]), ("GET", TASK + "/metadata", None),
    ("POST", NO_TASK + "/metadata", [DATUM]), ("POST", TASK + "/metadata", b"no JSON"), ("POST", "/flows/FLOW/run", b"no JSON"),
    ("POST", TASK + "/artifact", [ROW]), ("POST", TASK + "/artifact", [ROW]), ("POST", TASK + "/artifact", [ROW | {"location": "y" * 300}]),
    ("POST", TASK + "/artifact", [ROW | {"name": "b", "attempt_id": 1}]), ("GET", TASK + "/artifacts", None),
    ("GET", TASK + "/attempt/0/artifacts", None), ("GET", TASK + "/attempt/7/artifacts", None), ("GET", TASK + "/artifacts/a", None),
    ("GET", TASK + "/artifacts/b/attempt/1", None), ("GET", TASK + "/artifacts/b/attempt/0", None), ("GET", TASK + "/artifacts/none", None),
    ("GET", RUN + "/artifacts", None), ("GET", STEP + "/artifacts", None), ("GET", RUN + "/steps/x/artifacts", None),
    ("POST", NO_TASK + "/artifact", [ROW]), ("POST", RUN + "/heartbeat", {}), ("POST", TASK + "/heartbeat", {}),
    ("POST", NO_TASK + "/heartbeat", {}), ("PATCH", RUN + "/tag/mutate", {"tags_to_add": ["b"], "tags_to_remove": ["a"]}),
    ("PATCH", RUN + "/tag/mutate", {"tags_to_remove": ["user:me"]}), ("PATCH", RUN + "/tag/mutate", {"tags_to_add": "x"}),
    ("PATCH", RUN + "/tag/mutate", {"tags_to_add": [1]}), ("PATCH", "/flows/FLOW/runs/999999/tag/mutate", {"tags_to_add": ["x"]}),
    ("GET", TASK, None), ("GET", STEP + "/filtered_tasks", None),
    ("GET", STEP + "/filtered_tasks?metadata_field_name=attempt&pattern=%5E0%24", None),
    ("GET", STEP + "/filtered_tasks?metadata_field_name=nope", None), ("GET", RUN + "/metadata", None),
    ("GET", "/flows/FLOW/runs", None), ("GET", "/flows/NoFlow/runs", None), ("GET", STEP + "/tasks/t-1", None),
]  # fmt: skip


class Talk:
    def __init__(self, url, flow):
        self.url, self.names = url, {"FLOW": flow}

    def ask(self, method, path, body):
        for name, value in self.names.items():
            path = path.replace(name, str(value))
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            response = urllib.request.urlopen(request, timeout=20)
        except urllib.error.HTTPError as error:
            response = error
        text = response.read().decode()
        try:
            answer = json.loads(text)
        except ValueError:
            answer = text
        if response.status == 200 and method == "POST" and isinstance(answer, dict):
            for name, column in (("$RUN", "run_number"), ("$TASK", "task_id")):
                if isinstance(answer.get(column), int):
                    self.names.setdefault(name, answer[column])
        return {"status": response.status, "has_version": "METADATA_SERVICE_VERSION" in response.headers, "answer": self.tidy(answer)}

    def tidy(self, answer, key=None):
        """Without what differs from time to time: ids, times, the database's own words; lists in an order."""
        if isinstance(answer, dict):
            return {k: self.tidy(v, k) for k, v in answer.items()}
        if isinstance(answer, list):
            return sorted((self.tidy(item) for item in answer), key=lambda item: json.dumps(item, sort_keys=True))
        if answer is not None and key in ("ts_epoch", "last_heartbeat_ts", "id", "traceback", "pgerror", "message_primary"):
            return "..."
        if isinstance(answer, int) and key in ("run_number", "task_id"):
            name = "$RUN" if key == "run_number" else "$TASK"
            return name if self.names.get(name) == answer else answer
        if not isinstance(answer, str):
            return answer
        if answer.startswith("{"):
            return {"in JSON": self.tidy(json.loads(answer))}
        if answer == str(self.names.get("$RUN")):
            return "$RUN as text"
        named = answer.replace(self.names["FLOW"], "FLOW")
        path = re.sub(r"^FLOW/\d+/s/\d+$", "FLOW/$RUN/s/$TASK", named)
        return path


def conversation(url, flow):
    talk = Talk(url, flow)
    return [{"request": f"{method} {path}", **talk.ask(method, path, body)} for method, path, body in REQUESTS]


if __name__ == "__main__":
    answers = conversation(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "Replayed")
    print("[\n" + ",\n".join(json.dumps(answer, sort_keys=True) for answer in answers) + "\n]")
