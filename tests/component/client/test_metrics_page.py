"""Who may read a component's metrics, asked of a real API server."""

import asyncio
from pathlib import Path

import pytest
import uvloop

from support.api_server import ADMIN, NOBODY, RunningApiServer, memory_backend, start
from tiphys.client.metrics_page import MetricsConfig, serve_metrics
from tiphys.client.rest import Client
from tiphys.lib import tls
from tiphys.lib.clock import SystemClock
from tiphys.lib.http.client import HttpClient, HttpError
from tiphys.lib.metrics import Counter, Histogram, process_families
from tiphys.lib.prometheus_text import parse, render
from tiphys.lib.tasks import TaskSet


async def asked(running: RunningApiServer, user: str | None, port: int, path: str) -> int:
    """The status of a page, served by somebody whom the API server lets ask it."""
    cert, key = running.authority.issue("page", server=True)
    config = MetricsConfig("127.0.0.1", port, cert, key, running.authority.path)
    client = Client.from_kubeconfig(running.kubeconfig(ADMIN))
    counter = Counter("asked_total", "", ("by",))
    counter.add("me")
    tasks = TaskSet()
    page = serve_metrics(config, lambda: [counter.family()], client, SystemClock())
    tasks.start(page, "page")
    files = (running.directory / f"{user}.crt", running.directory / f"{user}.key") if user else ()
    http = HttpClient(
        f"https://127.0.0.1:{port}", tls=tls.client_context(running.authority.path, *files)
    )
    try:
        async with asyncio.timeout(20):
            while True:
                try:
                    answer = await http.request("GET", path)
                except HttpError:  # Not listening yet.
                    await asyncio.sleep(0.02)
                    continue
                if answer.status == 200 and path == "/metrics":
                    assert b'asked_total{by="me"} 1' in answer.body
                    assert b"process_cpu_seconds_total" in answer.body
                return answer.status
    finally:
        http.close()
        client.close()
        await tasks.close()


@pytest.mark.parametrize(
    ("user", "path", "status"),
    [
        (ADMIN, "/metrics", 200),
        ("monitor", "/metrics", 200),
        (NOBODY, "/metrics", 403),
        (None, "/metrics", 401),
        (None, "/healthz", 200),
        (ADMIN, "/elsewhere", 404),
    ],
)
def test_who_may_read(tmp_path: Path, user: str | None, path: str, status: int) -> None:
    async def story() -> int:
        running, listening = await start(tmp_path, memory_backend())
        running.authority.issue("monitor", groups=("system:monitoring",))
        with_port = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
        port = int(with_port.sockets[0].getsockname()[1])
        with_port.close()
        await with_port.wait_closed()
        try:
            return await asked(running, user, port, path)
        finally:
            await listening.__aexit__()

    assert uvloop.run(story()) == status


def test_a_histogram_counts_up_to_each_bound() -> None:
    histogram = Histogram("h", "", ("by",), (0.1, 1.0))
    for seconds in (0.05, 0.1, 0.5, 7.0):
        histogram.observe(seconds, "me")
    lines = [
        (x.name, x.labels.get("le"), x.value) for x in parse(render([histogram.family()]).decode())
    ]
    assert lines == [
        ("h_bucket", "0.1", 2),
        ("h_bucket", "1", 3),
        ("h_bucket", "+Inf", 4),
        ("h_sum", None, 7.65),
        ("h_count", None, 4),
    ]


def test_this_process_is_shown() -> None:
    found = {f.name: f.samples[0].value for f in process_families()}
    assert found["process_resident_memory_bytes"] > 1_000_000
    assert found["process_open_fds"] >= 3
    assert found["process_start_time_seconds"] > 1_600_000_000
