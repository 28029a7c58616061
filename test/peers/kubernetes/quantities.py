"""Amounts of CPU, memory and the like."""

import re
from fractions import Fraction

_SUFFIXES = {"n": Fraction(1, 10**9), "u": Fraction(1, 10**6), "m": Fraction(1, 1000), "": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15, "E": 10**18,
             "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60}  # fmt: skip


def amount(text):
    """The amount as an exact number: Fraction(1, 10) of '100m'."""
    match = re.fullmatch(r"([+-]?[0-9.]+)([eE][+-]?[0-9]+)?([a-zA-Z]*)", str(text))
    if not match or match.group(3) not in _SUFFIXES:
        raise ValueError(f"{text!r} is no quantity")
    return Fraction(match.group(1) + (match.group(2) or "")) * _SUFFIXES[match.group(3)]


def text(value):
    """An amount as messages show it: 1, 100m."""
    value = Fraction(value)
    if value.denominator == 1:
        return str(value.numerator)
    return f"{int(-(-value * 1000 // 1))}m"


def requests(pod_spec):
    """What a pod asks of a node: the sum over its containers, or its greediest init container if that is more."""
    total = {}
    for container in pod_spec["containers"]:
        for name, value in container.get("resources", {}).get("requests", {}).items():
            total[name] = total.get(name, 0) + amount(value)
    for container in pod_spec.get("initContainers", ()):
        for name, value in container.get("resources", {}).get("requests", {}).items():
            total[name] = max(total.get(name, 0), amount(value))
    return total


def limits(pod_spec):
    total = {}
    for container in pod_spec["containers"]:
        for name, value in container.get("resources", {}).get("limits", {}).items():
            total[name] = total.get(name, 0) + amount(value)
    return total


def quality_of_service(pod_spec):
    containers = pod_spec["containers"] + pod_spec.get("initContainers", [])
    resources = [container.get("resources", {}) for container in containers]
    asked = [{k: v for k, v in r.get(which, {}).items() if k in ("cpu", "memory")} for r in resources for which in ("requests", "limits")]
    if not any(asked):
        return "BestEffort"
    for resource in resources:
        limit, request = resource.get("limits", {}), resource.get("requests", {})
        if any(k not in limit or amount(request.get(k, limit[k])) != amount(limit[k]) for k in ("cpu", "memory")):
            return "Burstable"
    return "Guaranteed"
