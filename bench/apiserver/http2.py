"""GET of one pod over HTTP/2 beside HTTP/1.1, by the same client (h2load, Debian nghttp2-client).

    python bench/apiserver/http2.py [--requests 20000]

CPU is the server's for each request; memory is what the first HTTP/2 connection adds to it.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench.apiserver.load import cpu_seconds


def private_kb(pid: int) -> int:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(map(int, re.findall(r"Private_(?:Clean|Dirty):\s+(\d+)", text)))


def h2load(url: str, header: str, pid: int, requests: int, *how: str) -> str:
    words = ["h2load", "-n", str(requests), "-H", header, "-H", "Accept: application/json"]
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
    with tempfile.TemporaryDirectory() as directory:
        load = Path(__file__).with_name("load.py")
        words = [sys.executable, str(load), "--serve", directory]
        child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        assert child.stdin is not None
        try:
            found = json.loads(child.stdout.readline())
            url = f"https://127.0.0.1:{found['port']}/api/v1/namespaces/default/pods/p00001"
            header = f"Authorization: Bearer {found['token']}"
            h2load(url, header, child.pid, 2000, "--h1", "-c8")
            before = private_kb(child.pid)
            h2load(url, header, child.pid, 10, "-c1")
            print(f"the first connection of HTTP/2: {private_kb(child.pid) - before} KB")
            for _ in range(2):
                one = h2load(url, header, child.pid, requests, "--h1", "-c50")
                print(f"HTTP/1.1, 50 connections        {one}")
                two = h2load(url, header, child.pid, requests, "-c4", "-m25")
                print(f"HTTP/2, 4 connections of 25     {two}")
        finally:
            child.stdin.close()
            child.wait(20)


if __name__ == "__main__":
    main()
