"""What the server fills in: defaults of fields, and what admission adds to a pod."""

import copy

from . import quantities, store

MAXIMUM = 2147483647
CONTROLLER_UID = "batch.kubernetes.io/controller-uid"
JOB_NAME = "batch.kubernetes.io/job-name"
TRACKING = "batch.kubernetes.io/job-tracking"
INDEX = "batch.kubernetes.io/job-completion-index"


def _image_pull_policy(image):
    tag = image.rsplit("/", 1)[-1].partition(":")[2]
    return "Always" if "@" not in image and tag in ("", "latest") else "IfNotPresent"


def _container(container):
    container.setdefault("resources", {})
    container.setdefault("terminationMessagePath", "/dev/termination-log")
    container.setdefault("terminationMessagePolicy", "File")
    container.setdefault("imagePullPolicy", _image_pull_policy(container.get("image", "")))
    limits = container["resources"].get("limits")
    if limits:
        container["resources"]["requests"] = {**limits, **container["resources"].get("requests", {})}
    for port in container.get("ports", ()):
        port.setdefault("protocol", "TCP")
    for variable in container.get("env", ()):
        if "fieldRef" in variable.get("valueFrom", {}):
            variable["valueFrom"]["fieldRef"].setdefault("apiVersion", "v1")


def _volume(volume):
    for kind in ("secret", "configMap", "projected", "downwardAPI"):
        if kind in volume:
            volume[kind].setdefault("defaultMode", 420)
    if len(volume) == 1:
        volume["emptyDir"] = {}


def pod_spec(spec):
    for container in spec.get("containers", []) + spec.get("initContainers", []):
        _container(container)
    for volume in spec.get("volumes", ()):
        _volume(volume)
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("securityContext", {})
    spec.setdefault("schedulerName", "default-scheduler")
    if spec.get("serviceAccountName"):
        spec["serviceAccount"] = spec["serviceAccountName"]


def job(obj):
    """A job that is created, given its uid."""
    spec = obj["spec"]
    if "completions" not in spec and "parallelism" not in spec:
        spec["completions"] = 1
    spec.setdefault("parallelism", 1)
    spec.setdefault("backoffLimit", MAXIMUM if "backoffLimitPerIndex" in spec else 6)
    spec.setdefault("completionMode", "NonIndexed")
    spec.setdefault("suspend", False)
    spec.setdefault("manualSelector", False)
    spec.setdefault("podReplacementPolicy", "Failed" if "podFailurePolicy" in spec else "TerminatingOrFailed")
    for rule in spec.get("podFailurePolicy", {}).get("rules", ()):
        for pattern in rule.get("onPodConditions", ()):
            pattern.setdefault("status", "True")
    template = spec["template"]
    pod_spec(template.setdefault("spec", {}))


def job_selector(obj):
    """The labels by which a job knows its pods."""
    spec, uid, name = obj["spec"], obj["metadata"]["uid"], obj["metadata"]["name"]
    if spec["manualSelector"]:
        return
    metadata = spec["template"].setdefault("metadata", {})
    metadata["creationTimestamp"] = None
    metadata["labels"] = {**metadata.get("labels", {}), CONTROLLER_UID: uid, JOB_NAME: name, "controller-uid": uid, "job-name": name}
    spec["selector"] = {"matchLabels": {CONTROLLER_UID: uid}}


def pod(obj):
    spec = obj["spec"]
    spec.setdefault("restartPolicy", "Always")
    pod_spec(spec)
    obj["status"] = {"phase": "Pending"}


def _toleration(key):
    return {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}


def admit_pod(obj):
    """What admission adds: the service account and its token, tolerations, priority."""
    spec = obj["spec"]
    spec.setdefault("serviceAccountName", "default")
    spec["serviceAccount"] = spec["serviceAccountName"]
    if spec.get("automountServiceAccountToken", True):
        name = f"kube-api-access-{store.suffix()}"
        sources = [
            {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}},
        ]
        spec["volumes"] = spec.get("volumes", []) + [{"name": name, "projected": {"sources": sources, "defaultMode": 420}}]
        mount = {"name": name, "readOnly": True, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}
        for kind in ("initContainers", "containers"):
            if kind in spec:
                spec[kind] = [{**c, "volumeMounts": c.get("volumeMounts", []) + [mount]} for c in spec[kind]]
    spec.setdefault("enableServiceLinks", True)
    spec.setdefault("preemptionPolicy", "PreemptLowerPriority")
    spec.setdefault("priority", 0)
    spec["tolerations"] = spec.get("tolerations", []) + [_toleration("node.kubernetes.io/not-ready"), _toleration("node.kubernetes.io/unreachable")]
    obj["status"]["qosClass"] = quantities.quality_of_service(spec)


def pod_of(job_object, index=None, failures=0):
    """A new pod of a job."""
    template = job_object["spec"]["template"]
    metadata = job_object["metadata"]
    labels = dict(template["metadata"]["labels"])
    annotations = dict(template["metadata"].get("annotations", {}))
    spec = copy.deepcopy(template["spec"])
    prefix = f"{metadata['name']}-"
    if index is not None:
        labels[INDEX] = str(index)
        annotations[INDEX] = str(index)
        if "backoffLimitPerIndex" in job_object["spec"]:
            annotations["batch.kubernetes.io/job-index-failure-count"] = str(failures)
        prefix = f"{metadata['name']}-{index}-"
        spec["hostname"] = prefix[:-1][:63]
        variable = {"name": "JOB_COMPLETION_INDEX", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": f"metadata.labels['{INDEX}']"}}}
        for container in spec["containers"] + spec.get("initContainers", []):
            container["env"] = container.get("env", []) + [variable]
    pod_metadata = {
        "generateName": prefix,
        "namespace": metadata["namespace"],
        "labels": labels,
        "ownerReferences": [
            {
                "apiVersion": "batch/v1",
                "kind": "Job",
                "name": metadata["name"],
                "uid": metadata["uid"],
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
        "finalizers": [TRACKING],
    }
    if annotations:
        pod_metadata["annotations"] = annotations
    return {"kind": "Pod", "apiVersion": "v1", "metadata": pod_metadata, "spec": spec, "status": {"phase": "Pending"}}
