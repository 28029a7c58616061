"""The tests' own door: /_test/..., which tells the server to misbehave, and what it saw. It asks for no credentials: the server listens
on the loopback interface only."""

from aiohttp import web

from .faults import ACTIONS_WHILE_RUNNING, Rule


class Admin:
    """Answers requests under /_test/."""

    def __init__(self, server):
        self._server = server
        self._world = server.world

    async def handle(self, request):
        name = request.path.removeprefix("/_test/").strip("/").replace("/", "_").replace("-", "_")
        call = getattr(self, f"{request.method.lower()}_{name}", None)
        if call is None:
            return web.json_response({"error": f"there is no {request.method} {request.path}"}, status=404)
        try:
            body = await request.json() if request.can_read_body else {}
            return web.json_response(call(body, request.query))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            return web.json_response({"error": f"{type(error).__name__}: {error}"}, status=400)

    # What was seen.

    def get_counts(self, _body, _query):
        """How many requests there were of each operation."""
        return {"requests": self._server.counts, "statuses": self._server.statuses}

    def delete_counts(self, _body, _query):
        self._server.counts.clear()
        self._server.statuses.clear()
        return {}

    def get_jobs(self, _body, _query):
        """All jobs, with the processes of those that run."""
        return {
            "jobs": [
                {"jobId": job.id, "jobName": job.name, "status": job.status, "pid": getattr(job.attempt.process, "pid", None) if job.attempt else None}
                for parent in self._world.jobs.all()
                for job in (parent.children or [parent])
            ]
        }

    def get_capabilities(self, _body, _query):
        """What this machine permits for containers."""
        return self._world.permissions.described()

    # Misbehaviour.

    def get_rules(self, _body, _query):
        return {"rules": [rule.described() for rule in self._world.faults.rules]}

    def post_rules(self, body, _query):
        return {"ids": [self._world.faults.add(text).number for text in (body if isinstance(body, list) else [body])]}

    def delete_rules(self, _body, query):
        self._world.faults.remove(int(query["id"]) if "id" in query else None)
        return {}

    def post_job(self, body, _query):
        """An accident of a job that runs, now: {"jobId", "action": "oom" / "exit" / "reclaim"}."""
        if body["action"] not in ACTIONS_WHILE_RUNNING:
            raise ValueError(f"{body['action']!r} does not happen to jobs that run")
        rule = {name: value for name, value in body.items() if name != "jobId"}
        self._world.jobs.find(body["jobId"]).attempt.cut(Rule(0, {**rule, "jobs": {}}))
        return {}

    def delete_jobs(self, _body, query):
        """Removes a job, as if it had ended days ago."""
        self._world.jobs.forget(query["id"])
        return {}

    def post_simulation(self, body, _query):
        self._world.runtime.simulation.update(body)
        return {}

    # Who may do what.

    def post_keys(self, body, _query):
        """New keys: {"name", "seconds", "actions": ["batch:Describe*"]}."""
        key = self._world.access.issue(body.get("name", "tester"), body.get("seconds"), body.get("actions"))
        return {"access": key.access, "secret": key.secret, "token": key.token}

    def delete_keys(self, _body, query):
        """These end now, if they are good for a while only."""
        self._world.access.expire(query["access"])
        return {}

    def get_used(self, _body, query):
        """What a key was used for."""
        return {"used": sorted(self._world.access.key(query["access"]).used)}
