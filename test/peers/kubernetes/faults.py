"""Misbehaviour: rules say which requests and which pods have an accident, and what webhooks do to what is created."""

import re

from .. import rules
from . import selectors

_REQUEST_FIELDS = {"verb", "resource", "name", "namespace", "user", "action", "code", "reason", "message", "retryAfter", "seconds", "bytes", "events"}
_POD_FIELDS = {"pods", "action", "after", "message", "exitCode", "evictAfter"}
_ADMISSION_FIELDS = {"admission", "name", "action", "code", "message", "webhook", "containers", "initContainers"}
REQUEST_ACTIONS = ("status", "drop", "lose", "slow", "reset", "expire", "cut", "garbage", "stall")
ACTIONS_BEFORE_START = ("unschedulable", "image-pull", "invalid-image", "create-container-error", "never-start", "no-sandbox", "failed-mount")
ACTIONS_WHILE_RUNNING = ("oom", "exit", "evict", "preempt", "node-pressure", "vanish", "node-lost", "node-rebooted")
ADMISSION_ACTIONS = {"jobs": ("deny", "suspend"), "pods": ("deny", "inject")}
POD_ACTIONS = ACTIONS_BEFORE_START + ACTIONS_WHILE_RUNNING


class Rule(rules.Rule):
    """A kind of accident, and whom it happens to."""

    def __init__(self, number, text):
        unknown = set(text) - (_POD_FIELDS if "pods" in text else _ADMISSION_FIELDS if "admission" in text else _REQUEST_FIELDS) - rules.TURNS
        if unknown:
            raise ValueError(f"a rule has no field {sorted(unknown)[0]!r}: {text}")
        actions = POD_ACTIONS if "pods" in text else ADMISSION_ACTIONS[text["admission"]] if "admission" in text else REQUEST_ACTIONS
        if text.get("action") not in actions:
            whose = "pods" if "pods" in text else "webhooks" if "admission" in text else "requests"
            raise ValueError(f"{text.get('action')!r} is no action of {whose}: {', '.join(actions)}")
        super().__init__(number, text)
        if "pods" in text:
            self._labels = selectors.parse_labels(text["pods"].get("labels", ""))

    def hits_request(self, request, user):
        text = self.text
        if "pods" in text or "admission" in text:
            return False
        for key, value in (
            ("verb", request.verb),
            ("resource", request.target),
            ("name", request.name),
            ("namespace", request.namespace),
            ("user", user),
        ):
            pattern = text.get(key, "*")
            if pattern != "*" and not re.fullmatch(pattern, value):
                return False
        return self.is_due()

    def hits_pod(self, pod):
        if "pods" not in self.text:
            return False
        pattern, metadata = self.text["pods"], pod["metadata"]
        if "name" in pattern and not re.fullmatch(pattern["name"], metadata["name"]):
            return False
        if "image" in pattern and not any(re.fullmatch(pattern["image"], c["image"]) for c in pod["spec"]["containers"]):
            return False
        return self._labels(metadata.get("labels") or {}) and self.is_due()

    def hits_admission(self, resource, obj):
        text = self.text
        if text.get("admission") != resource:
            return False
        metadata = obj["metadata"]
        return re.fullmatch(text.get("name", ".*"), metadata.get("name", metadata.get("generateName", ""))) and self.is_due()


class Faults(rules.Rules):
    """The rules that hold now."""

    def __init__(self):
        super().__init__(Rule)

    def of_request(self, request, user):
        """What happens to a request: the first rule that hits it."""
        return next((rule for rule in self.rules if rule.hits_request(request, user)), None)

    def of_pod(self, pod):
        return next((rule for rule in self.rules if rule.hits_pod(pod)), None)

    def of_admission(self, resource, obj):
        """What webhooks do to an object that is created: all rules that hit it."""
        return [rule for rule in self.rules if rule.hits_admission(resource, obj)]
