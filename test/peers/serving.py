"""What the programs of all stand-ins have in common: a port, and when to end."""

import asyncio
import signal
import socket
import sys

from aiohttp import web


def listen(port):
    """A socket of 127.0.0.1, and its port; 0 takes a free one."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    return listener, listener.getsockname()[1]


async def expect(request):
    """What aiohttp does for "Expect: 100-continue", but a client that has gone is not an error."""
    try:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the answer has not begun
    except ConnectionResetError:
        return web.Response(status=499)
    return None


async def until_told():
    """Waits for a signal, or the end of the parent process."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    if not sys.stdin.isatty():
        _stop_with_parent(stop)
    await stop.wait()


def _stop_with_parent(stop):
    """Ends when the standard input does, if that is a pipe: so no server outlives the tests that started it."""

    class UntilEnd(asyncio.Protocol):
        def connection_lost(self, exc):
            stop.set()

        def eof_received(self):
            stop.set()

    try:
        asyncio.ensure_future(asyncio.get_running_loop().connect_read_pipe(UntilEnd, sys.stdin))
    except ValueError:
        pass
