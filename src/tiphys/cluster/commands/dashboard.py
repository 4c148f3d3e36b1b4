"""`tiphys dashboard [--url]`: the web dashboard, as an ordinary workload of the cluster.

Applies it, waits until it answers, and keeps a proxy on 127.0.0.1 until it is interrupted.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Sequence
from functools import partial
from typing import Final

from tiphys.api.errors import ApiError
from tiphys.cli.arguments import Parser
from tiphys.cli.kubectl.client import KubeClient, Unreachable
from tiphys.cli.kubectl.main import access_of
from tiphys.cli.output import CommandError, report
from tiphys.client.kubeconfig import KubeconfigError
from tiphys.cluster.commands.stop import existing
from tiphys.cluster.dashboard import installation, manifests
from tiphys.cluster.told import told

ANSWER_SECONDS_MAX: Final = 20.0  # Endpoints follow a ready pod within a moment.
POLL_SECONDS: Final = 0.1


def run(profile: str, arguments: Sequence[str]) -> int:
    parser = Parser(prog="tiphys dashboard", description="the web dashboard")
    parser.add_argument("--url", action="store_true", help="print the address, open nothing")
    parser.add_argument("--port", type=int, default=0, help="of the proxy (default: a free one)")
    options = parser.parse_args(arguments)
    say = _say_nothing if options.url else _say
    try:
        kube = KubeClient(access_of(profile, {}))
        say("🔌", "Enabling dashboard ...")
        installation.enable(kube, existing(profile))
        say("🤔", "Verifying dashboard health ...")
        installation.wait_until_ready(kube)
        say("🚀", "Launching proxy ...")
        asyncio.run(_serve(kube, options.port, open_it=not options.url))
    except (ApiError, CommandError, KubeconfigError, Unreachable) as exc:
        return report(told(exc), as_json=False)
    return 0


async def _serve(kube: KubeClient, port: int, *, open_it: bool) -> None:
    """The proxy, until SIGINT or SIGTERM. Raises CommandError."""
    from tiphys.cluster.dashboard.image_layers import describe
    from tiphys.cluster.dashboard.local_proxy import LocalProxy

    proxy = LocalProxy(kube.access, partial(describe, installation.registry()))
    try:
        bound = await proxy.listen(port)
    except OSError as exc:
        fix = "choose another: --port N, or none for a free one"
        raise CommandError(
            f"cannot listen on port {port}: {exc.strerror}", fix=fix, reason="PROXY_FAILED"
        ) from exc
    say = _say if open_it else _say_nothing
    say("🤔", "Verifying proxy health ...")
    address = f"http://127.0.0.1:{bound}{manifests.ADDRESS}"
    await _verify(bound)
    if open_it:
        say("🎉", f"Opening {address} in your default browser...")
        await asyncio.to_thread(_open, address)
    else:
        print(address, flush=True)
    await _interrupted()
    await proxy.stop()


async def _verify(port: int) -> None:
    from tiphys.lib.http.client import HttpClient, HttpError

    client = HttpClient(f"http://127.0.0.1:{port}")
    deadline = time.monotonic() + ANSWER_SECONDS_MAX
    try:
        while (answer := await client.request("GET", manifests.ADDRESS)).status != 200:
            if time.monotonic() > deadline:
                text = answer.body.decode(errors="replace").strip()[:300]
                raise CommandError(
                    f"the proxy answers {answer.status}: {text}", reason="PROXY_FAILED"
                )
            await asyncio.sleep(POLL_SECONDS)
    except (HttpError, TimeoutError) as exc:
        raise CommandError(f"the proxy does not answer: {exc}", reason="PROXY_FAILED") from exc
    finally:
        client.close()


async def _interrupted() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()


def _open(address: str) -> None:
    """A browser, where there is a screen; the address stands in the line above anyway."""
    if not os.environ.get("DISPLAY") and not os.environ.get("WAYLAND_DISPLAY"):
        print("There is no screen here: open the address yourself.", file=sys.stderr)
        return
    import webbrowser

    webbrowser.open(address)


def _say(sign: str, text: str) -> None:
    utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    print(f"{sign}  {text}" if utf8 else text, flush=True)


def _say_nothing(sign: str, text: str) -> None:
    pass
