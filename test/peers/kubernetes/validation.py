"""Rules that the schema does not tell: names, values, what goes with what. Violations are answered with 422."""

import re

from . import quantities
from .errors import Cause, duplicate_value, forbidden_field, invalid, invalid_value, missing_reference, required, unsupported_value

_LABEL_PART = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL_PART}(\.{_LABEL_PART})*"
_SUBDOMAIN_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an "
    f"alphanumeric character (e.g. 'example.com', regex used for validation is '{_SUBDOMAIN}')"
)
_LABEL_TEXT = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric "
    f"character (e.g. 'my-name',  or '123-abc', regex used for validation is '{_LABEL_PART}')"
)
_VALUE = r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?"
_VALUE_TEXT = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    f"alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '{_VALUE}')"
)
_NAME = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_NAME_TEXT = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. "
    f"'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{_NAME}')"
)
_ENV_TEXT = "a valid environment variable name must consist only of printable ASCII characters other than '='"
_KEY = r"[-._a-zA-Z0-9]+"
_KEY_TEXT = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', "
    f"regex used for validation is '{_KEY}')"
)
_ANNOTATIONS_LIMIT = 256 * 1024
_SECRET_LIMIT = 1024 * 1024


def _matches(pattern, text):
    return re.fullmatch(pattern, text) is not None


def _qualified_name(field, value):
    prefix, slash, name = value.rpartition("/")
    causes = []
    if slash and not _matches(_SUBDOMAIN, prefix):
        causes.append(invalid_value(field, value, "prefix part " + _SUBDOMAIN_TEXT))
    if not _matches(_NAME, name):
        causes.append(invalid_value(field, value, _NAME_TEXT))
    elif len(name) > 63:
        causes.append(invalid_value(field, value, "name part must be no more than 63 characters"))
    return causes


def _labels(labels, field):
    causes = []
    for key, value in labels.items():
        causes += _qualified_name(field, key)
        if len(value) > 63:
            causes.append(invalid_value(field, value, "must be no more than 63 characters"))
        if not _matches(_VALUE, value):
            causes.append(invalid_value(field, value, _VALUE_TEXT))
    return causes


def _annotations(annotations, field):
    causes = []
    for key in annotations:
        causes += _qualified_name(field, key.lower())
    if sum(len(k.encode()) + len(v.encode()) for k, v in annotations.items()) > _ANNOTATIONS_LIMIT:
        causes.append(Cause(field, "FieldValueTooLong", f"Too long: may not be more than {_ANNOTATIONS_LIMIT} bytes"))
    return causes


def metadata(obj):
    data = obj["metadata"]
    name = data.get("name")
    causes = []
    if name is None and not data.get("generateName"):
        causes.append(required("metadata.name", "name or generateName is required"))
    for field, value in (("metadata.name", name), ("metadata.generateName", (data.get("generateName") or "").rstrip("-"))):
        if not value:
            continue
        if len(value) > 253:
            causes.append(invalid_value(field, value, "must be no more than 253 characters"))
        elif not _matches(_SUBDOMAIN, value):
            causes.append(invalid_value(field, value, _SUBDOMAIN_TEXT))
    causes += _labels(data.get("labels", {}), "metadata.labels")
    causes += _annotations(data.get("annotations", {}), "metadata.annotations")
    return causes


def _resources(resources, field):
    causes = []
    for which in ("limits", "requests"):
        for name, value in resources.get(which, {}).items():
            if quantities.amount(value) < 0:
                causes.append(invalid_value(f"{field}.{which}[{name}]", str(value), "must be greater than or equal to 0"))
            if "/" not in name and name not in ("cpu", "memory", "ephemeral-storage") and not name.startswith("hugepages-"):
                causes.append(invalid_value(f"{field}.{which}[{name}]", name, "must be a standard resource type or fully qualified"))
    limits = resources.get("limits", {})
    for name, value in resources.get("requests", {}).items():
        if "/" in name and name not in limits:
            causes.append(required(f"{field}.limits", "Limit must be set for non overcommitable resources"))
        if name in limits and quantities.amount(value) > quantities.amount(limits[name]):
            causes.append(invalid_value(f"{field}.requests", str(value), f"must be less than or equal to {name} limit of {limits[name]}"))
        elif "/" in name and name in limits and quantities.amount(value) != quantities.amount(limits[name]):
            causes.append(invalid_value(f"{field}.requests", str(value), f"must be equal to {name} limit of {limits[name]}"))
    return causes


def _environment(container, field):
    causes = []
    for index, variable in enumerate(container.get("env", ())):
        place = f"{field}.env[{index}]"
        if not _matches(r"[ -<>-~]+", variable["name"]):
            causes.append(invalid_value(f"{place}.name", variable["name"], _ENV_TEXT))
        source = variable.get("valueFrom")
        if source is None:
            continue
        if variable.get("value"):
            causes.append(invalid_value(f"{place}.valueFrom", "", "may not be specified when `value` is not empty"))
        if len(source) != 1:
            causes.append(
                invalid_value(
                    f"{place}.valueFrom",
                    "",
                    (
                        "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"
                        if not source
                        else "may not have more than one field specified at a time"
                    ),
                )
            )
        for kind in ("secretKeyRef", "configMapKeyRef"):
            if kind in source and not source[kind].get("name"):
                causes.append(required(f"{place}.valueFrom.{kind}.name"))
    for index, source in enumerate(container.get("envFrom", ())):
        if not ("secretRef" in source or "configMapRef" in source):
            causes.append(invalid_value(f"{field}.envFrom[{index}]", "", "must specify one of: `configMapRef` or `secretRef`"))
    return causes


def _container(container, field, volumes, names):
    causes = []
    name = container["name"]
    if not _matches(_LABEL_PART, name) or len(name) > 63:
        causes.append(invalid_value(f"{field}.name", name, "must be no more than 63 characters" if len(name) > 63 else _LABEL_TEXT))
    if name in names:
        causes.append(duplicate_value(f"{field}.name", name))
    names.add(name)
    image = container.get("image", "")
    if not image:
        causes.append(required(f"{field}.image"))
    elif image != image.strip():
        causes.append(invalid_value(f"{field}.image", image, "must not have leading or trailing whitespace"))
    for key, supported in (("imagePullPolicy", ("Always", "IfNotPresent", "Never")), ("terminationMessagePolicy", ("File", "FallbackToLogsOnError"))):
        if container[key] not in supported:
            causes.append(unsupported_value(f"{field}.{key}", container[key], supported))
    causes += _environment(container, field)
    causes += _resources(container["resources"], f"{field}.resources")
    paths = set()
    for index, mount in enumerate(container.get("volumeMounts", ())):
        place = f"{field}.volumeMounts[{index}]"
        if mount["name"] not in volumes:
            causes.append(missing_reference(f"{place}.name", mount["name"]))
        if mount["mountPath"] in paths:
            causes.append(invalid_value(f"{place}.mountPath", mount["mountPath"], "must be unique"))
        paths.add(mount["mountPath"])
        if ".." in mount.get("subPath", "").split("/"):
            causes.append(invalid_value(f"{place}.subPath", mount["subPath"], "must not contain '..'"))
    for index, port in enumerate(container.get("ports", ())):
        if not 0 < port["containerPort"] < 65536:
            causes.append(invalid_value(f"{field}.ports[{index}].containerPort", port["containerPort"], "must be between 1 and 65535, inclusive"))
    return causes


def pod_spec(spec, field, restart_policies):
    causes = []
    volumes = set()
    for index, volume in enumerate(spec.get("volumes", ())):
        place = f"{field}.volumes[{index}]"
        if not _matches(_LABEL_PART, volume["name"]):
            causes.append(invalid_value(f"{place}.name", volume["name"], _LABEL_TEXT))
        if volume["name"] in volumes:
            causes.append(duplicate_value(f"{place}.name", volume["name"]))
        volumes.add(volume["name"])
        if len(volume) > 2:
            causes.append(forbidden_field(f"{place}.{sorted(set(volume) - {'name'})[1]}", "may not specify more than 1 volume type"))
        if "secret" in volume and not volume["secret"].get("secretName"):
            causes.append(required(f"{place}.secret.secretName"))
        if "configMap" in volume and not volume["configMap"].get("name"):
            causes.append(required(f"{place}.configMap.name"))
    names = set()
    for kind in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(kind, ())):
            causes += _container(container, f"{field}.{kind}[{index}]", volumes, names)
    if not spec["containers"]:
        causes.append(required(f"{field}.containers"))
    policy = spec.get("restartPolicy")
    if policy is None:
        causes.append(required(f"{field}.restartPolicy", "valid values: " + ", ".join(f'"{p}"' for p in restart_policies)))
    elif policy not in restart_policies:
        causes.append(unsupported_value(f"{field}.restartPolicy", policy, restart_policies))
    if spec["terminationGracePeriodSeconds"] < 0:
        causes.append(
            invalid_value(f"{field}.terminationGracePeriodSeconds", spec["terminationGracePeriodSeconds"], "must be greater than or equal to 0")
        )
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= 2147483647:
        causes.append(invalid_value(f"{field}.activeDeadlineSeconds", deadline, "must be between 1 and 2147483647, inclusive"))
    account = spec.get("serviceAccountName")
    if account and not _matches(_SUBDOMAIN, account):
        causes.append(invalid_value(f"{field}.serviceAccountName", account, _SUBDOMAIN_TEXT))
    for index, toleration in enumerate(spec.get("tolerations", ())):
        place = f"{field}.tolerations[{index}]"
        if toleration.get("operator", "Equal") not in ("Equal", "Exists"):
            causes.append(unsupported_value(f"{place}.operator", toleration["operator"], ("Equal", "Exists")))
        if toleration.get("effect", "NoExecute") not in ("", "NoSchedule", "PreferNoSchedule", "NoExecute"):
            causes.append(unsupported_value(f"{place}.effect", toleration["effect"], ("NoSchedule", "PreferNoSchedule", "NoExecute")))
    causes += _labels(spec.get("nodeSelector", {}), f"{field}.nodeSelector")
    return causes


def _failure_policy(spec):
    causes = []
    names = {container["name"] for kind in ("containers", "initContainers") for container in spec["template"]["spec"].get(kind, ())}
    if spec["template"]["spec"].get("restartPolicy") != "Never":
        causes.append(
            invalid_value(
                "spec.template.spec.restartPolicy",
                spec["template"]["spec"].get("restartPolicy"),
                'only "Never" is supported when podFailurePolicy is specified',
            )
        )
    for index, rule in enumerate(spec["podFailurePolicy"]["rules"]):
        field = f"spec.podFailurePolicy.rules[{index}]"
        if rule["action"] not in ("FailJob", "FailIndex", "Ignore", "Count"):
            causes.append(unsupported_value(f"{field}.action", rule["action"], ("Count", "FailIndex", "FailJob", "Ignore")))
        if rule["action"] == "FailIndex" and "backoffLimitPerIndex" not in spec:
            causes.append(invalid_value(f"{field}.action", "FailIndex", "requires the backoffLimitPerIndex to be set"))
        if ("onExitCodes" in rule) == bool(rule.get("onPodConditions")):
            causes.append(
                invalid_value(
                    field,
                    "",
                    (
                        "specifying one of OnExitCodes and OnPodConditions is required"
                        if "onExitCodes" not in rule
                        else "specifying both OnExitCodes and OnPodConditions is not supported"
                    ),
                )
            )
        codes = rule.get("onExitCodes")
        if codes:
            if codes["operator"] not in ("In", "NotIn"):
                causes.append(unsupported_value(f"{field}.onExitCodes.operator", codes["operator"], ("In", "NotIn")))
            if codes["operator"] == "In" and 0 in codes["values"]:
                causes.append(invalid_value(f"{field}.onExitCodes.values[{codes['values'].index(0)}]", 0, "must not be 0 for the In operator"))
            if codes.get("containerName") and codes["containerName"] not in names:
                causes.append(
                    invalid_value(
                        f"{field}.onExitCodes.containerName",
                        codes["containerName"],
                        "must be one of the container or initContainer names in the pod template",
                    )
                )
    return causes


def job(obj):
    spec = obj["spec"]
    causes = metadata(obj)
    name = obj["metadata"].get("name", "")
    if len(name) > 63 and _matches(_SUBDOMAIN, name):
        causes.append(invalid_value("spec.template.labels", name, "must be no more than 63 characters"))
    for field in (
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
    ):
        value = spec.get(field)
        if value is not None and value < 0:
            causes.append(invalid_value(f"spec.{field}", value, "must be greater than or equal to 0"))
    mode = spec["completionMode"]
    if mode not in ("NonIndexed", "Indexed"):
        causes.append(unsupported_value("spec.completionMode", mode, ("Indexed", "NonIndexed")))
    if mode == "Indexed":
        if "completions" not in spec:
            causes.append(required("spec.completions", "when completion mode is Indexed"))
        if spec["parallelism"] > 100000:
            causes.append(
                invalid_value("spec.parallelism", spec["parallelism"], "must be less than or equal to 100000 when completion mode is Indexed")
            )
    else:
        for field in ("backoffLimitPerIndex", "maxFailedIndexes", "successPolicy"):
            if field in spec:
                causes.append(invalid_value(f"spec.{field}", spec[field], "requires indexed completion mode"))
    if "backoffLimitPerIndex" in spec and spec["template"]["spec"].get("restartPolicy") == "OnFailure":
        causes.append(
            invalid_value("spec.template.spec.restartPolicy", "OnFailure", 'only "Never" is supported when backoffLimitPerIndex is specified')
        )
    if "maxFailedIndexes" in spec and "backoffLimitPerIndex" not in spec:
        causes.append(required("spec.backoffLimitPerIndex", "when maxFailedIndexes is specified"))
    if spec["podReplacementPolicy"] not in ("TerminatingOrFailed", "Failed"):
        causes.append(unsupported_value("spec.podReplacementPolicy", spec["podReplacementPolicy"], ("Failed", "TerminatingOrFailed")))
    if "podFailurePolicy" in spec:
        causes += _failure_policy(spec)
    causes += _labels(spec["template"].get("metadata", {}).get("labels", {}), "spec.template.labels")
    causes += _annotations(spec["template"].get("metadata", {}).get("annotations", {}), "spec.template.annotations")
    return causes + pod_spec(spec["template"]["spec"], "spec.template.spec", ("OnFailure", "Never"))


def pod(obj):
    return metadata(obj) + pod_spec(obj["spec"], "spec", ("Always", "OnFailure", "Never"))


def keys_and_values(obj):
    """Secrets and configuration maps."""
    causes = metadata(obj)
    total = 0
    for field in ("data", "binaryData"):
        for key, value in obj.get(field, {}).items():
            total += len(value)
            if not _matches(_KEY, key):
                causes.append(invalid_value(f"{field}[{key}]", key, _KEY_TEXT))
    if total > _SECRET_LIMIT * 4 // 3:
        causes.append(Cause("data", "FieldValueTooLong", f"Too long: may not be more than {_SECRET_LIMIT} bytes"))
    return causes


def check(resource, obj):
    """Refuses what the real server would refuse."""
    rules = {"jobs": job, "pods": pod, "secrets": keys_and_values, "configmaps": keys_and_values}
    causes = rules.get(resource.plural, metadata)(obj)
    if causes:
        raise invalid(resource, obj["metadata"].get("name", ""), causes)


def _go(value):
    """Something like what Go prints of a value; the real text is of several kilobytes."""
    containers = ", ".join(f'core.Container{{Name:"{c["name"]}", Image:"{c["image"]}"}}' for c in value["spec"]["containers"])
    return f"core.PodTemplateSpec{{ObjectMeta:v1.ObjectMeta{{}}, Spec:core.PodSpec{{Containers:[]core.Container{{{containers}}}}}}}"


_JOB_MUTABLE = {"parallelism", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished", "suspend", "maxFailedIndexes"}
_POD_MUTABLE = {"activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds"}


def check_update(resource, previous, obj):
    """Refuses changes of what cannot change."""
    check(resource, obj)
    causes = []
    if resource.plural == "jobs":
        for field in sorted(set(previous["spec"]) | set(obj["spec"])):
            if field not in _JOB_MUTABLE and previous["spec"].get(field) != obj["spec"].get(field):
                value = obj["spec"].get(field)
                causes.append(invalid_value(f"spec.{field}", _go(value) if field == "template" else value, "field is immutable"))
    if resource.plural == "pods" and {k: v for k, v in previous["spec"].items() if k not in _POD_MUTABLE} != {
        k: v for k, v in obj["spec"].items() if k not in _POD_MUTABLE
    }:
        causes.append(
            forbidden_field(
                "spec",
                "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,"
                "`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was "
                "previously negative)",
            )
        )
    if resource.plural in ("secrets", "configmaps"):
        if previous.get("immutable") and any(previous.get(f) != obj.get(f) for f in ("data", "binaryData", "immutable")):
            causes.append(forbidden_field("data", "field is immutable when `immutable` is set"))
        if previous.get("type") != obj.get("type"):
            causes.append(invalid_value("type", obj.get("type"), "field is immutable"))
    if causes:
        raise invalid(resource, obj["metadata"]["name"], causes)
