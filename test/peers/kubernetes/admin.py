"""The tests' own door: /_test/..., which tells the cluster to misbehave, and what it saw. It asks for no credentials: the server
listens on the loopback interface only."""

from aiohttp import web

from .access import User
from .resources import CLUSTER_ROLES, PODS, ROLES


class BadRequest(Exception):
    """A request to the door that makes no sense."""


class Admin:
    """Answers requests under /_test/."""

    def __init__(self, cluster):
        self._cluster = cluster
        self.server = None

    async def handle(self, request):
        name = request.path.removeprefix("/_test/").strip("/").replace("/", "_").replace("-", "_")
        call = getattr(self, f"{request.method.lower()}_{name}", None)
        if call is None:
            return web.json_response({"error": f"there is no {request.method} {request.path}"}, status=404)
        try:
            body = await request.json() if request.can_read_body else {}
            return web.json_response(call(body, request.query))
        except (BadRequest, ValueError, KeyError, TypeError) as error:
            return web.json_response({"error": f"{type(error).__name__}: {error}"}, status=400)

    # What was seen.

    def get_counts(self, _body, _query):
        """How many requests there were of each kind: {"list pods": 3}."""
        return {
            "requests": self.server.counts,
            "statuses": self.server.statuses,
            "openWatches": self.server.open_watches,
            "mostWatches": self.server.most_watches,
        }

    def delete_counts(self, _body, _query):
        self.server.counts = {}
        self.server.statuses = {}
        self.server.most_watches = self.server.open_watches
        return {}

    def get_denied(self, _body, query):
        """The requests that were refused for want of a permission."""
        user = query.get("user")
        return {"denied": [entry for entry in self._cluster.access.denied if user in (None, entry["user"])]}

    def get_used(self, _body, query):
        """What a user was allowed and did; and, given a role, what of it was never used."""
        access = self._cluster.access
        answer = {"used": sorted(access.used.get(query["user"], ()))}
        if "role" in query:
            resource = ROLES if query.get("namespace") else CLUSTER_ROLES
            role = self._cluster.store.find(resource, query.get("namespace", ""), query["role"])
            answer["unused"] = access.unused(query["user"], role)
        return answer

    def get_capabilities(self, _body, _query):
        """What this machine permits for containers."""
        return self._cluster.permissions.described()

    def get_running(self, _body, _query):
        """The containers whose processes are there."""
        return {
            "containers": [
                {"pod": "/".join(worker.key), "containers": worker.running()} for worker in self._cluster.kubelet.workers() if worker.running()
            ]
        }

    # Misbehaviour.

    def get_rules(self, _body, _query):
        return {"rules": [rule.described() for rule in self._cluster.faults.rules]}

    def post_rules(self, body, _query):
        """Adds rules; the answer has their ids."""
        texts = body if isinstance(body, list) else [body]
        return {"ids": [self._cluster.faults.add(text).number for text in texts]}

    def delete_rules(self, _body, query):
        self._cluster.faults.remove(int(query["id"]) if "id" in query else None)
        return {}

    def post_compact(self, _body, _query):
        """Forgets the history: watches and pages that go on from before get 410."""
        self._cluster.store.compact()
        return {"resourceVersion": str(self._cluster.store.version)}

    def post_watches_cut(self, _body, query):
        """Breaks the open watches."""
        return {"cut": self.server.cut_watches(query.get("resource"))}

    def post_pod(self, body, _query):
        """Something happens to a pod now: {"namespace", "name", "action"}."""
        pod = self._cluster.store.get(PODS, body.get("namespace", "default"), body["name"])
        if pod is None:
            raise BadRequest(f"there is no pod {body['name']}")
        worker = self._cluster.kubelet.worker(pod)
        if worker is None and body["action"] != "vanish":
            raise BadRequest(f"the pod {body['name']} is on no node")
        if body["action"] == "vanish":
            self._cluster.verbs.delete_pod(pod, 0)
        else:
            worker.accident(body)
        return {}

    def post_node(self, body, _query):
        """A node is lost, comes back, or was rebooted: {"name", "action": "lose" | "recover" | "reboot", "evictAfter"}."""
        name = body.get("name") or next(iter(self._cluster.scheduler.nodes))
        kubelet = self._cluster.kubelet
        if body["action"] == "lose":
            kubelet.lose_node(name, body.get("evictAfter"))
        elif body["action"] == "recover":
            kubelet.recover_node(name)
        elif body["action"] == "reboot":
            kubelet.lose_node(name)
            kubelet.recover_node(name, rebooted=True)
        else:
            raise BadRequest(f"a node cannot {body['action']}")
        return {}

    def post_simulation(self, body, _query):
        """How long simulated containers take from now on, and with what they exit."""
        self._cluster.runtime.simulation.update(body)
        return self._cluster.runtime.simulation

    def post_tokens(self, body, _query):
        """A token for a user: {"user", "groups", "seconds"}."""
        user = User(body["user"], tuple(body.get("groups", ())) + ("system:authenticated",))
        return {"token": self._cluster.access.issue(user, body.get("seconds"))}

    def delete_tokens(self, _body, query):
        self._cluster.access.revoke(query["user"])
        return {}
