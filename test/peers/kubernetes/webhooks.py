"""Admission webhooks of others: they refuse jobs and pods, suspend jobs as queues do, and add containers to pods as service meshes do."""

from . import defaults, errors
from .resources import JOBS, PODS


def admit(faults, obj):
    """What the rules make of an object that is about to be created."""
    resource = {"Job": JOBS, "Pod": PODS}[obj["kind"]]
    for rule in faults.of_admission(resource.plural, obj):
        if rule["action"] == "deny":
            message = rule.get("message", "not here")
            # The real server puts nothing of its own before that, and passes on the code that the webhook chose.
            raise errors.ApiError(rule.get("code", 403), "Forbidden", f'admission webhook "{rule.get("webhook", "policy.test")}" denied the request: {message}')
        if rule["action"] == "suspend":
            obj["spec"]["suspend"] = True
        elif rule["action"] == "inject":
            spec = obj["spec"]
            spec["initContainers"] = [*_copies(rule, "initContainers"), *spec.get("initContainers", [])]
            spec["containers"] = [*spec["containers"], *_copies(rule, "containers")]
            if not spec["initContainers"]:
                del spec["initContainers"]
            defaults.pod_spec(spec)


def _copies(rule, kind):
    return [{**container} for container in rule.get(kind, ())]
