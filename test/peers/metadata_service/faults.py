"""What a service on a network does besides answering."""

import asyncio
import random
import socket
import struct

from aiohttp import web

KINDS = ("500", "503", "429", "slow", "no_answer", "lost_answer", "half_answer", "busy_database")


class Faults:
    """One request out of `one_in` meets one of `kinds`; `only` is a text that the method and path must contain. `counts`: which ones happened."""

    def __init__(self, kinds=(), one_in=4, seed=1, only="", pause=0.2):
        self.kinds, self.one_in, self.only, self.pause = kinds, one_in, only, pause
        self.random = random.Random(seed)
        self.counts = dict.fromkeys(kinds, 0)
        self.left = None  # how many are still to happen; None: no end

    def choose(self, request):
        if not self.kinds or self.left == 0 or self.only not in f"{request.method} {request.path}":
            return None
        if self.random.randrange(self.one_in) != 0:
            return None
        if self.left:
            self.left -= 1
        kind = self.random.choice(self.kinds)
        self.counts[kind] += 1
        return kind

    async def around(self, request, handler):
        kind = self.choose(request)
        if kind == "500":
            return web.json_response({"detail": "injected", "status": 500}, status=500)
        if kind in ("503", "429"):
            return web.Response(status=int(kind), text="later", headers={"Retry-After": "0"})
        if kind == "no_answer":
            return self.close(request)
        if kind == "busy_database" and request.method == "POST" and request.path.endswith(("/metadata", "/artifact")):
            # What the service says when its database does not answer when it looks for the task.
            return web.json_response({"message": "need to register run_id and task_id first"}, status=400)
        if kind == "slow":
            await asyncio.sleep(self.pause)
        response = await handler(request)
        if kind == "lost_answer":  # the work is done
            return self.close(request)
        if kind == "half_answer":
            await response.prepare(request)
            await response.write(response.body[: len(response.body) // 2])
            return self.close(request)
        return response

    def close(self, request):
        sock = request.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()
        return web.Response(status=500)
