"""The resources that this server has."""

from dataclasses import dataclass

_ALL = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True)
class Resource:
    """A kind of objects and where they are found."""

    group: str
    version: str
    plural: str
    kind: str
    definition: str
    namespaced: bool = True
    short_names: tuple = ()
    verbs: tuple = _ALL
    subresources: tuple = ()

    @property
    def api_version(self):
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self):
        """The name that messages use: jobs.batch, pods."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


def _core(plural, kind, **more):
    return Resource("", "v1", plural, kind, f"io.k8s.api.core.v1.{kind}", **more)


def _rbac(plural, kind, **more):
    return Resource("rbac.authorization.k8s.io", "v1", plural, kind, f"io.k8s.api.rbac.v1.{kind}", **more)


PODS = _core("pods", "Pod", short_names=("po",), subresources=("log", "eviction", "status"))
SECRETS = _core("secrets", "Secret")
CONFIG_MAPS = _core("configmaps", "ConfigMap", short_names=("cm",))
SERVICE_ACCOUNTS = _core("serviceaccounts", "ServiceAccount", short_names=("sa",))
RESOURCE_QUOTAS = _core("resourcequotas", "ResourceQuota", short_names=("quota",))
EVENTS = _core("events", "Event", short_names=("ev",))
NAMESPACES = _core("namespaces", "Namespace", short_names=("ns",), namespaced=False)
NODES = _core("nodes", "Node", short_names=("no",), namespaced=False)
JOBS = Resource("batch", "v1", "jobs", "Job", "io.k8s.api.batch.v1.Job", subresources=("status",))
ROLES = _rbac("roles", "Role")
ROLE_BINDINGS = _rbac("rolebindings", "RoleBinding")
CLUSTER_ROLES = _rbac("clusterroles", "ClusterRole", namespaced=False)
CLUSTER_ROLE_BINDINGS = _rbac("clusterrolebindings", "ClusterRoleBinding", namespaced=False)
ACCESS_REVIEWS = Resource(
    "authorization.k8s.io",
    "v1",
    "selfsubjectaccessreviews",
    "SelfSubjectAccessReview",
    "io.k8s.api.authorization.v1.SelfSubjectAccessReview",
    namespaced=False,
    verbs=("create",),
)

ALL = (
    PODS,
    SECRETS,
    CONFIG_MAPS,
    SERVICE_ACCOUNTS,
    RESOURCE_QUOTAS,
    EVENTS,
    NAMESPACES,
    NODES,
    JOBS,
    ROLES,
    ROLE_BINDINGS,
    CLUSTER_ROLES,
    CLUSTER_ROLE_BINDINGS,
    ACCESS_REVIEWS,
)
BY_PATH = {(resource.group, resource.version, resource.plural): resource for resource in ALL}
BY_KIND = {(resource.api_version, resource.kind): resource for resource in ALL}
GROUPS = sorted({resource.group for resource in ALL if resource.group})
