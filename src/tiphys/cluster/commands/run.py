"""`tiphys run ./app.py`: from a Python program to a Deployment, a Service and a URL.

A folder runs by its pyproject.toml, main.py or app.py; its dependencies are installed with pip into
a layer of their own. The port is the one that the program listens on, or --port.
"""

import argparse
import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from tiphys.api.errors import ApiError
from tiphys.cli.arguments import Parser
from tiphys.cli.output import CommandError, report
from tiphys.client.rest import Client
from tiphys.cluster import app_image, app_rollout, python_app
from tiphys.cluster.app_rollout import Target
from tiphys.cluster.commands.image import images
from tiphys.cluster.commands.stop import existing
from tiphys.cluster.python_app import App
from tiphys.cluster.told import told

WATCH_SECONDS: Final = 0.1  # How often files are looked at.
WATCH_SHARE: Final = 10  # And never for more than a tenth of the time, however many there are.


def run(name: str, arguments: Sequence[str]) -> int:
    words = list(arguments)
    more = words[words.index("--") + 1 :] if "--" in words else []
    options = _parser().parse_args(words[: words.index("--")] if "--" in words else words)
    try:
        if os.geteuid() != 0:
            raise CommandError("images are made by root", fix="sudo", reason="NOT_ROOT")
        return asyncio.run(_run(name, options, more))
    except (ApiError, CommandError, OSError, RuntimeError) as exc:
        return report(told(exc, "run the program"), as_json=False)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="tiphys run", description="run a Python program in the cluster; arguments after --"
    )
    parser.add_argument("program", help="a file, or a folder with pyproject.toml or main.py")
    parser.add_argument("--name", default="", help="of Deployment and Service")
    parser.add_argument("-n", "--namespace", default="default")
    parser.add_argument("--port", type=int, default=0, help="default: what it listens on")
    parser.add_argument("--watch", action="store_true", help="again after every change")
    parser.add_argument("--delete", action="store_true", help="take it out of the cluster")
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds to wait")
    return parser


async def _run(profile_name: str, options: argparse.Namespace, more: Sequence[str]) -> int:
    app = _find(options, more)
    profile = existing(profile_name)
    target = Target(profile, app.name, options.namespace, options.port, options.timeout)
    async with app_rollout.connected(profile) as client:
        if options.delete:
            found = await app_rollout.remove(client, app.name, options.namespace)
            print(f"{app.name} deleted" if found else f"{app.name} does not run")
            return 0
        await _once(client, target, app)
        while options.watch:
            app = await _changed(options, more, app)
            try:
                await _once(client, target, app)
            except (CommandError, ApiError) as exc:  # The next change may be the cure.
                report(told(exc), as_json=False)
    return 0


def _find(options: argparse.Namespace, more: Sequence[str]) -> App:
    app = python_app.find(Path(options.program), options.name)
    return replace(app, command=(*app.command, *more))


async def _once(client: Client, target: Target, app: App) -> None:
    began = time.monotonic()
    reference = app_image.build(images.storage(), app)
    url = await app_rollout.roll_out(client, target, str(reference))
    print(f"{app.name} runs: {url} ({time.monotonic() - began:.2f} s)", flush=True)


async def _changed(options: argparse.Namespace, more: Sequence[str], app: App) -> App:
    """The program after its next change."""
    before = python_app.stamp(app)
    took = 0.0
    while True:
        await asyncio.sleep(max(WATCH_SECONDS, WATCH_SHARE * took))
        began = time.monotonic()
        try:
            found = _find(options, more)
        except CommandError:
            continue  # Saved half: an editor is at work.
        if python_app.stamp(found) != before:
            return found
        took = time.monotonic() - began
