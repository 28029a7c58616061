"""Starts the server: python -m peers.batch --state DIRECTORY, with test/ in PYTHONPATH."""

import argparse
import asyncio
import json
import pathlib

from aiohttp import web

from .. import serving
from .server import Server
from .world import World


def parse_arguments():
    parser = argparse.ArgumentParser(prog="python -m peers.batch", description="AWS Batch and CloudWatch Logs for tests.")
    parser.add_argument("--port", type=int, default=0, help="the port on 127.0.0.1; 0, the default, takes a free one")
    parser.add_argument("--state", type=pathlib.Path, required=True, help="a directory for keys and what containers need")
    parser.add_argument("--pace", type=float, default=0.05, help="seconds that each step takes on the way to RUNNING; default: 0.05")
    parser.add_argument("--scenario", type=pathlib.Path, help="a JSON file: environments, queues, images, quotas, rules, simulation")
    return parser.parse_args()


def write_keys(world, directory):
    """Of the administrator, as the AWS tools read them."""
    key = world.access.issue("admin")
    path = directory / "credentials"
    path.touch(0o600)
    path.write_text(f"[default]\naws_access_key_id = {key.access}\naws_secret_access_key = {key.secret}\n")


async def serve(arguments):
    listener, port = serving.listen(arguments.port)
    scenario = json.loads(arguments.scenario.read_text()) if arguments.scenario else {}
    url = f"http://127.0.0.1:{port}"
    world = World(arguments.state, scenario, arguments.pace, url)
    write_keys(world, arguments.state)
    runner = web.AppRunner(Server(world).application(), access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    await web.SockSite(runner, listener, backlog=1024).start()
    print(url, flush=True)
    await serving.until_told()
    await world.close()
    await runner.cleanup()


def main():
    asyncio.run(serve(parse_arguments()))


if __name__ == "__main__":
    main()
