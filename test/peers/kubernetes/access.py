"""Who may do what: tokens, client certificates, roles. What was refused and what was used is kept for the tests."""

import fnmatch
import json
import secrets
import ssl
import subprocess
import time
from dataclasses import dataclass

from . import errors
from .resources import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ROLE_BINDINGS, ROLES

MASTERS = "system:masters"


@dataclass(frozen=True)
class User:
    """Who makes a request."""

    name: str
    groups: tuple = ()


ANONYMOUS = User("system:anonymous", ("system:unauthenticated",))
_OPEN_PATHS = ("/healthz", "/livez", "/readyz", "/version", "/version/")
_DISCOVERY_PATHS = ("/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*")


def service_account(namespace, name):
    return User(
        f"system:serviceaccount:{namespace}:{name}", ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
    )


@dataclass
class Request:
    """What a request wants to do, in the terms of roles."""

    verb: str
    resource: object
    subresource: str = ""
    namespace: str = ""
    name: str = ""

    @property
    def target(self):
        return f"{self.resource.plural}/{self.subresource}" if self.subresource else self.resource.plural


class Access:
    """Authentication and authorization."""

    def __init__(self, store, log):
        self._store = store
        self._log = log
        self._tokens = {}
        self.denied = []
        self.used = {}

    def issue(self, user, seconds=None, token=None):
        """A token with which requests are this user's."""
        token = token or secrets.token_urlsafe(24)
        self._tokens[token] = (user, None if seconds is None else time.monotonic() + seconds)
        return token

    def revoke(self, user_name):
        """No token of that user is good any more."""
        self._tokens = {token: entry for token, entry in self._tokens.items() if entry[0].name != user_name}

    def authenticate(self, authorization, certificate):
        if authorization:
            scheme, _, token = authorization.partition(" ")
            user, end = self._tokens.get(token.strip(), (None, None)) if scheme.lower() == "bearer" else (None, None)
            if user is None or end is not None and time.monotonic() > end:
                raise errors.unauthorized()
            return user
        if certificate:
            parts = [pair for rdn in certificate["subject"] for pair in rdn]
            names = [value for key, value in parts if key == "commonName"]
            groups = [value for key, value in parts if key == "organizationName"]
            return User(names[0], (*groups, "system:authenticated"))
        return ANONYMOUS

    def authorize(self, user, request):
        grant = self._granted(user, request)
        if grant:
            self.used.setdefault(user.name, set()).add((request.resource.group, request.target, request.verb))
            return
        where = f'in the namespace "{request.namespace}"' if request.namespace else "at the cluster scope"
        refusal = errors.forbidden(
            request.resource,
            request.name,
            f'User "{user.name}" cannot {request.verb} resource "{request.target}" in API group "{request.resource.group}" {where}',
        )
        self._deny(user, refusal.message)
        raise refusal

    def authorize_path(self, user, method, path):
        if MASTERS in user.groups or path in _OPEN_PATHS:
            return
        if "system:authenticated" in user.groups and any(fnmatch.fnmatch(path, pattern) for pattern in _DISCOVERY_PATHS):
            return
        refusal = errors.forbidden_path(user.name, method.lower(), path)
        self._deny(user, refusal.message)
        raise refusal

    def _deny(self, user, message):
        self.denied.append({"user": user.name, "message": message})
        self._log.write(json.dumps(self.denied[-1]) + "\n")
        self._log.flush()

    def allowed(self, user, request):
        """Whether that would be allowed; a question, which is not counted as use."""
        return self._granted(user, request)

    def _granted(self, user, request):
        if MASTERS in user.groups or request.resource.plural == "selfsubjectaccessreviews" and "system:authenticated" in user.groups:
            return True
        return any(_rule_allows(rule, request) for rule in self._rules(user, request.namespace))

    def _rules(self, user, namespace):
        for binding in self._store.all(CLUSTER_ROLE_BINDINGS):
            if _is_subject(user, binding):
                yield from self._role(binding, "")
        if namespace:
            for binding in self._store.all(ROLE_BINDINGS, namespace):
                if _is_subject(user, binding):
                    yield from self._role(binding, namespace)

    def _role(self, binding, namespace):
        reference = binding["roleRef"]
        if reference["kind"] == "ClusterRole":
            role = self._store.get(CLUSTER_ROLES, "", reference["name"])
        else:
            role = self._store.get(ROLES, namespace, reference["name"])
        return (role or {}).get("rules") or ()

    def unused(self, user_name, role):
        """What a role grants and that user never used: [(group, resource, verb)]."""
        used = self.used.get(user_name, set())
        granted = {
            (group, resource, verb)
            for rule in role.get("rules", ())
            for group in rule.get("apiGroups", ())
            for resource in rule.get("resources", ())
            for verb in rule["verbs"]
        }
        return sorted(granted - used)


def _is_subject(user, binding):
    namespace = binding["metadata"].get("namespace", "")
    for subject in binding.get("subjects", ()):
        if subject["kind"] == "User" and subject["name"] == user.name or subject["kind"] == "Group" and subject["name"] in user.groups:
            return True
        if subject["kind"] == "ServiceAccount" and user.name == f"system:serviceaccount:{subject.get('namespace', namespace)}:{subject['name']}":
            return True
    return False


def _rule_allows(rule, request):
    def listed(field, value):
        values = rule.get(field, ())
        return "*" in values or value in values

    if not listed("apiGroups", request.resource.group) or not listed("verbs", request.verb):
        return False
    if not listed("resources", request.target) and f"*/{request.subresource}" not in rule.get("resources", ()):
        return False
    names = rule.get("resourceNames")
    return not names or request.name in names


class Certificates:
    """A certificate authority of this server's own, in files under a directory; made by the openssl command."""

    def __init__(self, directory):
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.ca = directory / "ca.crt"
        self._openssl(
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-keyout",
            "ca.key",
            "-out",
            "ca.crt",
            "-days",
            "30",
            "-subj",
            "/CN=kubernetes",
        )
        self.server = self.make("server", "/CN=kube-apiserver", "subjectAltName=DNS:localhost,DNS:kubernetes,DNS:kubernetes.default.svc,IP:127.0.0.1")

    def _openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], cwd=self.directory, check=True, capture_output=True)
        for key in self.directory.glob("*.key"):
            key.chmod(0o600)

    def make(self, name, subject, extension="extendedKeyUsage=clientAuth"):
        """A certificate and its key: two paths."""
        self._openssl(
            "req",
            "-new",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-keyout",
            f"{name}.key",
            "-out",
            f"{name}.csr",
            "-subj",
            subject,
        )
        (self.directory / f"{name}.ext").write_text(extension + "\n")
        self._openssl(
            "x509",
            "-req",
            "-in",
            f"{name}.csr",
            "-CA",
            "ca.crt",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-days",
            "30",
            "-extfile",
            f"{name}.ext",
            "-out",
            f"{name}.crt",
        )
        return self.directory / f"{name}.crt", self.directory / f"{name}.key"

    def server_context(self):
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=self.ca)
        context.load_cert_chain(*self.server)
        context.verify_mode = ssl.CERT_OPTIONAL
        return context
