"""podFailurePolicy: what a job does about a failed pod."""


def _matching_container(rule, pod):
    codes = rule["onExitCodes"]
    statuses = pod["status"].get("initContainerStatuses", []) + pod["status"].get("containerStatuses", [])
    for status in statuses:
        if codes.get("containerName", status["name"]) != status["name"]:
            continue
        terminated = status["state"].get("terminated")
        if terminated and terminated["exitCode"] and (terminated["exitCode"] in codes["values"]) == (codes["operator"] == "In"):
            return status["name"], terminated["exitCode"]
    return None


def _matching_condition(rule, pod):
    for pattern in rule.get("onPodConditions", ()):
        for condition in pod["status"].get("conditions", ()):
            if condition["type"] == pattern["type"] and condition["status"] == pattern.get("status", "True"):
                return condition["type"]
    return None


def verdict_of(spec, pod):
    """The action of the first rule that matches, Count when none does; and the message for a job that fails by it."""
    name = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
    for number, rule in enumerate(spec.get("podFailurePolicy", {}).get("rules", ())):
        if "onExitCodes" in rule:
            found = _matching_container(rule, pod)
            if found:
                return (
                    rule["action"],
                    f"Container {found[0]} for pod {name} failed with exit code {found[1]} matching {rule['action']} rule at index {number}",
                )
        else:
            found = _matching_condition(rule, pod)
            if found:
                return rule["action"], f"Pod {name} has condition {found} matching {rule['action']} rule at index {number}"
    return "Count", ""
