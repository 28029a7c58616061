"""Misbehaviour: rules say which requests and which jobs have an accident."""

import re

from .. import rules

REQUEST_ACTIONS = ("status", "drop", "lose", "slow")
ACTIONS_BEFORE_START = ("stuck", "cannot-pull")
ACTIONS_WHILE_RUNNING = ("oom", "exit", "reclaim")
LASTING_ACTIONS = ("no-log",)
JOB_ACTIONS = ACTIONS_BEFORE_START + ACTIONS_WHILE_RUNNING + LASTING_ACTIONS
_REQUEST_FIELDS = {"operation", "action", "code", "type", "message", "seconds", "retryAfter"}
_JOB_FIELDS = {"jobs", "action", "after", "message", "exitCode"}


class Rule(rules.Rule):
    """A kind of accident, and whom it happens to."""

    def __init__(self, number, text):
        known = _JOB_FIELDS if "jobs" in text else _REQUEST_FIELDS
        unknown = set(text) - known - rules.TURNS
        if unknown:
            raise ValueError(f"a rule has no field {sorted(unknown)[0]!r}: {text}")
        actions = JOB_ACTIONS if "jobs" in text else REQUEST_ACTIONS
        if text.get("action") not in actions:
            raise ValueError(f"{text.get('action')!r} is no action of {'jobs' if 'jobs' in text else 'requests'}: {', '.join(actions)}")
        super().__init__(number, text)

    def hits_request(self, operation):
        return "jobs" not in self.text and re.fullmatch(self.text.get("operation", ".*"), operation) and self.is_due()

    def hits_attempt(self, job):
        if "jobs" not in self.text:
            return False
        pattern = self.text["jobs"]
        for key, value in (("name", job.name), ("image", job.container["image"])):
            if key in pattern and not re.fullmatch(pattern[key], value):
                return False
        return self.is_due()


class Faults(rules.Rules):
    """The rules that hold now."""

    def __init__(self):
        super().__init__(Rule)

    def of_request(self, operation):
        """What happens to a request: the first rule that hits it."""
        return next((rule for rule in self.rules if rule.hits_request(operation)), None)

    def of_attempt(self, job):
        return next((rule for rule in self.rules if rule.hits_attempt(job)), None)
