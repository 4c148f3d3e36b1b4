"""How much CPU a proxied request takes: our data plane beside nginx, same backend, same minute.

    python bench/ingress/proxy.py [--seconds 5]

Clients (wrk, 50 connections) come over TLS on loopback; the backend is nginx with a page of 1 KB
and one of 1 MB. Each data plane has one process. Prints CPU for each request and its ratio.
"""

import argparse
import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from support.ingress_lab import free_port, lab, location, plan, run
from tiphys.ingress.certificates import fake_certificate
from tiphys.ingress.table import Options
from tiphys.lib.clock import SystemClock

TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")
CONNECTIONS = 50
PAGES = {"1 KB": 1 << 10, "1 MB": 1 << 20}


@dataclass
class Load:
    per_second: float
    cpu_us: float
    p99: str

    def __str__(self) -> str:
        return f"{self.cpu_us:9.1f} us CPU  {self.per_second:9.0f}/s  p99 {self.p99}"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=int, default=5)
    options.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    args = options.parse_args()
    if args.serve:
        run(serve(args.serve[0], int(args.serve[1])))
    elif shutil.which("nginx") is None or shutil.which("wrk") is None:
        print("nginx and wrk are needed", file=sys.stderr)
    else:
        with tempfile.TemporaryDirectory() as directory:
            measure(Path(directory), args.seconds)


async def serve(plane: str, backend: int) -> None:
    """The child: a data plane until its parent closes the pipe."""
    own = {"a": fake_certificate(SystemClock().now())}
    async with lab(plane, workers=1) as one:
        item = location(backend, options=Options(ssl_redirect=False))
        await one.plane.apply(plan(own, a=item))
        print(one.https_port, flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


def measure(directory: Path, seconds: int) -> None:
    with backend(directory) as port:
        for page in PAGES:
            found = {name: one(name, port, page, seconds) for name in ("builtin", "nginx")}
            for name, load in found.items():
                print(f"{page}, {name:8}", load)
            ratio = found["builtin"].cpu_us / found["nginx"].cpu_us
            print(f"{page}, ratio of CPU {ratio:.2f}")


def one(plane: str, port: int, page: str, seconds: int) -> Load:
    words = [sys.executable, __file__, "--serve", plane, str(port)]
    child = subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert child.stdout is not None
    assert child.stdin is not None
    try:
        door = int(child.stdout.readline())
        url = f"https://127.0.0.1:{door}/{PAGES[page]}"
        wrk(url, child.pid, 1)
        return wrk(url, child.pid, seconds)
    finally:
        child.stdin.close()
        child.wait(20)


def wrk(url: str, pid: int, seconds: int) -> Load:
    words = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency"]
    before = cpu_seconds(pid)
    done = subprocess.run(
        [*words, "-H", "Host: a.test", url], capture_output=True, text=True, check=True
    )
    used = cpu_seconds(pid) - before
    if "Non-2xx" in done.stdout:
        raise SystemExit(re.findall(r"Non-2xx.*", done.stdout)[0])
    requests = int(re.findall(r"(\d+) requests in", done.stdout)[0])
    p99 = re.findall(r"99%\s+(\S+)", done.stdout)[0]
    return Load(requests / seconds, used / max(requests, 1) * 1e6, p99)


def cpu_seconds(pid: int) -> float:
    """Of a process and its children, as long as they live."""
    total = 0.0
    waiting = [pid]
    while waiting:
        current = waiting.pop()
        try:
            fields = Path(f"/proc/{current}/stat").read_text().rpartition(")")[2].split()
            waiting += map(
                int, Path(f"/proc/{current}/task/{current}/children").read_text().split()
            )
        except OSError:
            continue
        total += (int(fields[11]) + int(fields[12])) * TICK_SECONDS
    return total


@contextmanager
def backend(directory: Path) -> Iterator[int]:
    """nginx with the pages, in clear; its port."""
    port = free_port()
    root = directory / "www"
    root.mkdir()
    for size in PAGES.values():
        (root / str(size)).write_bytes(b"x" * size)
    config = directory / "nginx.conf"
    config.write_text(
        "user root; daemon off; worker_processes 1; error_log stderr crit;"
        f" pid {directory}/nginx.pid; events {{}} http {{ access_log off; sendfile on;"
        f" keepalive_requests 1000000; server {{ listen 127.0.0.1:{port}; root {root}; }} }}"
    )
    process = subprocess.Popen(["nginx", "-c", str(config)], stderr=subprocess.DEVNULL)
    try:
        time.sleep(0.5)
        yield port
    finally:
        process.send_signal(signal.SIGQUIT)
        process.wait()


if __name__ == "__main__":
    main()
