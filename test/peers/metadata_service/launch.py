"""The service on a port of its own, in a thread of the test."""

import asyncio
import threading

from aiohttp import web

from .faults import Faults
from .server import Service


class MetadataService:
    """Serves while it is entered. `tables`: what it has; `faults`: may be replaced at any time."""

    def __init__(self, faults=None, version="2.5.1", headers=None, port=0):
        self.service = Service(faults or Faults(), version, headers)
        self.port = port

    @property
    def tables(self):
        return self.service.tables

    @property
    def requests(self):
        return self.service.requests

    @property
    def faults(self):
        return self.service.faults

    @faults.setter
    def faults(self, faults):
        self.service.faults = faults

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self):
        return {"METAFLOW_SERVICE_URL": self.url, "METAFLOW_DEFAULT_METADATA": "service"}

    def __enter__(self):
        self.loop = asyncio.new_event_loop()
        ready = threading.Event()

        async def begin():
            self.runner = web.AppRunner(self.service.app(), access_log=None, shutdown_timeout=0.1)
            await self.runner.setup()
            site = web.TCPSite(self.runner, "127.0.0.1", self.port)
            await site.start()
            self.port = site._server.sockets[0].getsockname()[1]
            ready.set()

        def serve():
            asyncio.set_event_loop(self.loop)
            self.loop.run_until_complete(begin())
            self.loop.run_forever()
            self.loop.run_until_complete(self.runner.cleanup())
            left = asyncio.all_tasks(self.loop)
            for task in left:
                task.cancel()
            self.loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
            self.loop.close()

        self.thread = threading.Thread(target=serve, daemon=True)
        self.thread.start()
        assert ready.wait(30)
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(30)
