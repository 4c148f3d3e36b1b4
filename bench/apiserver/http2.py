"""GET of one pod over HTTP/2 beside HTTP/1.1, by the same client (h2load, Debian nghttp2-client).

    python bench/apiserver/http2.py [--requests 20000]

CPU is the server's for each request; memory is what the first HTTP/2 connection adds to it.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench.apiserver.served import cpu_seconds, served


def h2load(url: str, header: tuple[str, str], pid: int, requests: int, *how: str) -> str:
    words = ["h2load", "-n", str(requests), *header, "-H", "Accept: application/json"]
    before = cpu_seconds([pid])
    words += [*how, url]
    output = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    used = cpu_seconds([pid]) - before
    done = re.findall(r"(\d+) succeeded", output)[0]
    rate = re.findall(r"finished in .*?, ([\d.]+) req/s", output)[0]
    return f"{used / requests * 1e6:7.1f} us CPU {float(rate):9.0f}/s, {done} of {requests}"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--requests", type=int, default=20_000)
    requests = options.parse_args().requests
    if shutil.which("h2load") is None:
        print("h2load is not installed (Debian: nghttp2-client)")
        return
    with tempfile.TemporaryDirectory() as name, served(Path(name), {"default": 10}) as server:
        url = f"{server.url}/api/v1/namespaces/default/pods/p00001"

        def load(count: int, *how: str) -> str:
            return h2load(url, server.header, server.pid, count, *how)

        load(2000, "--h1", "-c8")
        before = server.own_mb()
        load(10, "-c1")
        print(f"the first connection of HTTP/2: {server.own_mb() - before:.1f} MB")
        for _ in range(2):
            print(f"HTTP/1.1, 50 connections        {load(requests, '--h1', '-c50')}")
            print(f"HTTP/2, 4 connections of 25     {load(requests, '-c4', '-m25')}")


if __name__ == "__main__":
    main()
