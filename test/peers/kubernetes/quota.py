"""What a namespace may use."""

from . import quantities
from .errors import forbidden
from .resources import PODS, RESOURCE_QUOTAS


def _use_of(pod):
    """What a pod counts for, by the names that quotas use."""
    use = {"pods": 1, "count/pods": 1}
    for name, value in quantities.requests(pod["spec"]).items():
        use[f"requests.{name}"] = value
        if "/" not in name:
            use[name] = value
    for name, value in quantities.limits(pod["spec"]).items():
        use[f"limits.{name}"] = value
    return use


def _missing(quota, pod):
    """Which containers do not say how much they need of what the quota limits."""
    missing = []
    for name in quota["spec"].get("hard", {}):
        which, _, resource = name.rpartition(".")
        if resource not in ("cpu", "memory"):
            continue
        kind = which or "requests"
        containers = pod["spec"].get("initContainers", []) + pod["spec"]["containers"]
        without = [c["name"] for c in containers if resource not in c["resources"].get(kind, {})]
        if without:
            missing.append(f"{name} for: {','.join(sorted(without))}")
    return missing


def check_pod(store, pod):
    """Refuses a pod that would exceed a quota of its namespace."""
    namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
    for quota in store.all(RESOURCE_QUOTAS, namespace):
        quota_name = quota["metadata"]["name"]
        missing = _missing(quota, pod)
        if missing:
            raise forbidden(PODS, name, f"failed quota: {quota_name}: must specify {'; '.join(sorted(missing))}")
        used = {}
        for other in store.all(PODS, namespace):
            if other["status"].get("phase") not in ("Succeeded", "Failed"):
                for key, value in _use_of(other).items():
                    used[key] = used.get(key, 0) + value
        use = _use_of(pod)
        over = [
            key for key, hard in sorted(quota["spec"].get("hard", {}).items()) if key in use and used.get(key, 0) + use[key] > quantities.amount(hard)
        ]
        if over:
            requested = ",".join(f"{key}={quantities.text(use[key])}" for key in over)
            before = ",".join(f"{key}={quantities.text(used.get(key, 0))}" for key in over)
            limited = ",".join(f"{key}={quota['spec']['hard'][key]}" for key in over)
            raise forbidden(PODS, name, f"exceeded quota: {quota_name}, requested: {requested}, used: {before}, limited: {limited}")
