"""How much CPU the API server takes per request, and how long requests wait.

    python bench/apiserver/load.py [--seconds 5]

Load by wrk; nginx serves the bytes of the same object beside it. Prints GET of a pod with 10 to 500
connections, LIST of 1,000 and of 10,000 pods, and the p99 of GET while lists of about 50 MB are
read all the time, and while 500 objects are written every second.
"""

import argparse
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench.apiserver.served import Served, config_map_text, served, writing, wrk

PODS = 1000
BIG_PODS = 10_000
WRITES_PER_SECOND = 500


def nginx(directory: Path, body: bytes, seconds: int) -> str:
    """The yardstick: the same bytes from a file, over TLS, one worker."""
    if shutil.which("nginx") is None:
        return "nginx is not installed"
    root = directory / "www"
    root.mkdir()
    (root / "pod").write_bytes(body)
    config = directory / "nginx.conf"
    config.write_text(
        "user root; daemon off; worker_processes 1; error_log stderr crit;"
        f" pid {directory}/nginx.pid;"
        "events {} http { access_log off; server { listen 127.0.0.1:18443 ssl;"
        f" root {root}; ssl_protocols TLSv1.3; ssl_certificate {directory}/server.crt;"
        f" ssl_certificate_key {directory}/server.key; }} }}"
    )
    process = subprocess.Popen(["nginx", "-c", str(config)], stderr=subprocess.DEVNULL)
    try:
        time.sleep(0.5)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        pids = [process.pid, *map(int, children)]
        return str(wrk("https://127.0.0.1:18443/pod", pids, 50, seconds))
    finally:
        process.send_signal(signal.SIGQUIT)
        process.wait()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=int, default=5)
    seconds = options.parse_args().seconds
    with (
        tempfile.TemporaryDirectory() as name,
        served(Path(name), {"default": PODS, "big": BIG_PODS}) as server,
    ):
        measure(server, seconds)


def measure(server: Served, seconds: int) -> None:
    core = f"{server.url}/api/v1/namespaces"
    pod, pids, header = f"{core}/default/pods/p00001", [server.pid], server.header
    body = subprocess.run(
        ["curl", "-sk", *header, "-A", "bench", pod], capture_output=True, check=True
    ).stdout
    print(f"own memory with {PODS + BIG_PODS} pods    {server.own_mb():8.1f} MB")
    wrk(pod, pids, 50, 1, *header)
    for connections in (10, 50, 500):
        load = wrk(pod, pids, connections, seconds, *header)
        print(f"GET pod, {connections:3} connections    ", load)
    print("nginx, the same bytes, 50   ", nginx(server.directory, body, seconds))
    print("LIST 1,000 pods, 4 clients  ", wrk(f"{core}/default/pods", pids, 4, seconds, *header))
    print("LIST 10,000 pods, 1 client  ", wrk(f"{core}/big/pods", pids, 1, seconds, *header))
    beside(server, "10,000 pods are listed", f"{core}/big/pods", seconds)
    beside(server, f"{WRITES_PER_SECOND} maps/s are made", f"{core}/default/configmaps", seconds)


def beside(server: Served, what: str, url: str, seconds: int) -> None:
    """GET of a pod while something else goes on."""
    pids, header = [server.pid], server.header
    words = ["wrk", "-t1", "-c1", f"-d{seconds + 2}s", *header, url]
    if url.endswith("configmaps"):
        more = writing(server, "create", "POST", "application/json", config_map_text())
        words = ["wrk", "-t1", "-c1", f"-d{seconds + 2}s", *more, url]
    other = threading.Thread(target=subprocess.run, args=(words,), kwargs={"capture_output": True})
    pod = f"{server.url}/api/v1/namespaces/default/pods/p00001"
    idle = wrk(pod, pids, 10, seconds, *header)
    other.start()
    time.sleep(1)
    print(f"GET, 10 connections, while {what:24}", wrk(pod, pids, 10, seconds, *header))
    print(f"{'the same alone':51}", idle)
    other.join()


if __name__ == "__main__":
    main()
