"""The service's routes over HTTP."""

import json

from aiohttp import web

from .tables import WAIT_SECONDS, Refused, Tables

RUN = "/flows/{flow}/runs/{run}"
STEP = RUN + "/steps/{step}"
TASK = STEP + "/tasks/{task}"


class Service:
    def __init__(self, faults, version="2.5.1", headers=None):
        self.tables, self.faults, self.version, self.headers = Tables(), faults, version, headers or {}
        self.requests, self.connections = [], set()

    def app(self):
        app = web.Application(middlewares=[self.look_at_it])
        get, post = app.router.add_get, app.router.add_post
        get("/ping", self.ping)
        get("/version", self.ping_version)
        get("/flows", self.answer(lambda r: list(self.tables.flows.values())))
        get("/flows/{flow}", self.answer(self.get_flow))
        post("/flows/{flow}", self.answer(lambda r, body: self.tables.new_flow(*r, body), body=True))
        get("/flows/{flow}/runs", self.answer(self.list_runs))
        post("/flows/{flow}/run", self.answer(lambda r, body: self.tables.new_run(*r, body), body=True))
        get(RUN, self.answer(lambda r: self.tables.shown_run(self.tables.run(*r))))
        app.router.add_patch(RUN + "/tag/mutate", self.answer(lambda r, body: self.tables.mutate_tags(*r, body), body=True))
        post(RUN + "/heartbeat", self.heartbeat)
        get(RUN + "/metadata", self.answer(lambda r: self.tables.metadata_of(self.tables.find_tasks(*r))))
        get(RUN + "/artifacts", self.answer(lambda r: self.tables.artifacts_of(self.tables.find_tasks(*r))))
        get(RUN + "/steps", self.answer(self.list_steps))
        get(STEP, self.answer(self.get_step))
        post(STEP + "/step", self.answer(lambda r, body: self.tables.new_step(*r, body), body=True))
        post(STEP + "/task", self.answer(lambda r, body: self.tables.new_task(*r, body), body=True))
        get(STEP + "/tasks", self.answer(lambda r: [self.tables.shown_task(task) for task in self.tables.find_tasks(*r)]))
        get(STEP + "/filtered_tasks", self.filtered_tasks)
        get(STEP + "/artifacts", self.answer(lambda r: self.tables.artifacts_of(self.tables.find_tasks(*r))))
        get(TASK, self.answer(lambda r: self.tables.shown_task(self.tables.task(*r))))
        post(TASK + "/heartbeat", self.heartbeat)
        get(TASK + "/metadata", self.answer(lambda r: self.tables.metadata_of(self.task_if_any(r))))
        post(TASK + "/metadata", self.add("metadata_created", self.tables.add_metadata))
        get(TASK + "/artifacts", self.answer(lambda r: self.tables.artifacts_of(self.task_if_any(r))))
        post(TASK + "/artifact", self.add("artifacts_created", self.tables.add_artifacts))
        get(TASK + "/attempt/{attempt}/artifacts", self.answer(self.attempt_artifacts, versioned=False))
        get(TASK + "/artifacts/{name}", self.answer(self.one_artifact))
        get(TASK + "/artifacts/{name}/attempt/{attempt}", self.answer(self.one_artifact))
        return app

    # --- around every request

    @web.middleware
    async def look_at_it(self, request, handler):
        self.requests.append((request.method, request.path))
        self.connections.add(request.transport)
        if any(request.headers.get(name) != value for name, value in self.headers.items()):
            return web.json_response({"message": "Forbidden"}, status=403)
        return await self.faults.around(request, handler)

    def respond(self, status, body, versioned=True):
        return web.Response(status=status, body=json.dumps(body), headers={"METADATA_SERVICE_VERSION": self.version} if versioned else {})

    def answer(self, function, body=False, versioned=True):
        """A handler of what `function` says of the parts of the path, and the body."""

        async def handle(request):
            parts = tuple(request.match_info.values())
            try:
                if not body:
                    return self.respond(200, function(parts), versioned)
                try:
                    given = json.loads(await request.read())
                except ValueError as error:
                    return self.respond(500, {"detail": str(error), "status": 500, "title": "Internal Server Error", "traceback": "", "type": "about:blank"})
                return self.respond(200, function(parts, given))
            except Refused as refused:
                if refused.body is None:
                    return web.Response(status=500, text="500 Internal Server Error\n\nServer got itself in trouble")
                return self.respond(refused.status, refused.body)

        return handle

    # --- requests that need more than a line

    async def ping(self, request):
        return web.Response(text="pong", headers={"METADATA_SERVICE_VERSION": self.version})

    async def ping_version(self, request):
        return web.Response(text=self.version)

    def get_flow(self, parts):
        if parts[0] not in self.tables.flows:
            raise Refused(404, {})
        return self.tables.flows[parts[0]]

    def list_runs(self, parts):
        return [self.tables.shown_run(run) for run in self.tables.runs.values() if run["flow_id"] == parts[0]]

    def list_steps(self, parts):
        number = self.tables.run_number(*parts)
        return [self.tables.shown_step(step) for step in self.tables.steps.values() if step["run_number"] == number]

    def get_step(self, parts):
        step = self.tables.steps.get((self.tables.run_number(*parts[:2]), parts[2]))
        if step is None:
            raise Refused(404, {})
        return self.tables.shown_step(step)

    def task_if_any(self, parts):
        try:
            return [self.tables.task(*parts)]
        except Refused:
            return []

    def attempt_artifacts(self, parts):
        return self.tables.artifacts_of(self.task_if_any(parts[:4]), attempt=int(parts[4]))

    def one_artifact(self, parts):
        attempt = int(parts[5]) if len(parts) > 5 else None
        rows = self.tables.artifacts_of(self.task_if_any(parts[:4]), attempt, latest=False)
        rows = sorted((row for row in rows if row["name"] == parts[4]), key=lambda row: -row["attempt_id"])
        if not rows:
            raise Refused(404, {})
        return rows[0]

    async def filtered_tasks(self, request):
        query = request.query
        found = self.tables.filtered_tasks(*request.match_info.values(), query.get("metadata_field_name"), query.get("pattern"))
        return self.respond(200, found)

    def add(self, counted, function):
        async def handle(request):
            try:
                rows = json.loads(await request.read())
            except ValueError:
                return web.Response(status=500, text="500 Internal Server Error\n\nServer got itself in trouble")
            try:
                task = self.tables.task(*request.match_info.values())
            except Refused:
                return web.Response(status=400, body=json.dumps({"message": "need to register run_id and task_id first"}))
            return web.Response(body=json.dumps({counted: function(task, rows)}))

        return handle

    async def heartbeat(self, request):
        """Of a run or a task; that of a task counts for its run, too."""
        parts = tuple(request.match_info.values())
        try:
            run = self.tables.run(*parts[:2])
        except Refused:
            run = None
        known = self.tables.beat(run)
        if len(parts) > 2:
            tasks = self.task_if_any(parts)
            known = self.tables.beat(tasks[0] if tasks else None)
        return self.respond(200 if known else 404, json.dumps({"wait_time_in_seconds": WAIT_SECONDS}))
