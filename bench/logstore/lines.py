"""How fast the cluster's log takes lines, and how fast it finds them among five million.

    python bench/logstore/lines.py [--lines 5000000] [--directory DIR]

Log files as the runtime writes them go through agent and store, in this process, on one core; each
file is removed when it has been read. Then `tiphys logs search` runs as users run it, a process
each. Yardsticks: what dd writes with the same syncs, and grep over the same bytes. Takes about 1.4
times the store's size of disk, which is given back.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tiphys.cluster.profile import Profile, Roots
from tiphys.logstore import segment
from tiphys.logstore.agent import LogAgent
from tiphys.logstore.store import LogStore

LINES = 5_000_000
PODS = 20
CHUNK_LINES = 1000  # Of one pod between two steps of the agent: it looks five times a second.
FILE_LINES = 100_000
RUNS = 7
NEEDLE = "needle-7f3a"


def a_line(number: int, began: datetime, count: int) -> bytes:
    """The lines of the last two hours, one in a million with the needle."""
    moment = began + timedelta(seconds=7200 * number / count)
    word = NEEDLE if number % 1_000_000 == 999_999 else "GET"
    stamp = f"{moment:%Y-%m-%dT%H:%M:%S}.{number % 10**9:09d}Z"
    item, user = number * 7919 % 99991, number % 5003
    text = f'{word} /api/items/{item} 200 {number % 300}ms user={user} "ok"'
    return f"{stamp} stdout F {text}\n".encode()


def ingest(root: Path, store_directory: Path, count: int) -> tuple[float, float, int]:
    """(seconds of CPU, seconds, bytes) that agent and store took for all lines."""
    pods = root / "pods"
    began = datetime.now(UTC) - timedelta(seconds=7200)
    labels = {f"uid-{n}": {"app": f"app-{n % 5}"} for n in range(PODS)}
    cpu = wall = 0.0
    size = 0
    with LogStore(store_directory, bytes_max=4 << 30) as store:
        agent = LogAgent(store, lambda: {"n1": pods}, lambda uid: labels.get(uid, {}))
        for written in batches(pods, began, count):
            size += written
            cpu_before, before = time.process_time(), time.perf_counter()
            while agent.step():
                pass
            cpu += time.process_time() - cpu_before
            wall += time.perf_counter() - before
        agent.close()
    return cpu, wall, size


def batches(pods: Path, began: datetime, count: int) -> Iterator[int]:
    """Write a few lines of each pod in turn; yields how many bytes; rotates."""
    numbers = [0] * PODS
    for start in range(0, count, CHUNK_LINES):
        pod = start // CHUNK_LINES % PODS
        path = pods / f"default_web-{pod}_uid-{pod}" / "main" / "0.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        if numbers[pod] >= FILE_LINES:
            path.unlink()
            numbers[pod] = 0
        stop = min(start + CHUNK_LINES, count)
        data = b"".join(a_line(number, began, count) for number in range(start, stop))
        with path.open("ab") as file:
            file.write(data)
        numbers[pod] += CHUNK_LINES
        yield len(data)


def search(home: Path, *words: str) -> tuple[float, int]:
    """(the median of seconds, lines found) of the command."""
    command = [str(Path(sys.executable).parent / "tiphys"), "-p", "bench", "logs", "search", *words]
    environment = os.environ | {"TIPHYS_HOME": str(home)}
    seconds = []
    for _ in range(RUNS):
        before = time.perf_counter()
        done = subprocess.run(command, env=environment, capture_output=True, check=False)
        seconds.append(time.perf_counter() - before)
    return sorted(seconds)[RUNS // 2], done.stdout.count(b"\n")


def timed(words: list[str]) -> float:
    seconds = []
    for _ in range(3):
        before = time.perf_counter()
        subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        seconds.append(time.perf_counter() - before)
    return min(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=LINES)
    parser.add_argument("--directory", type=Path, default=None)
    options = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="tiphys-bench-logs", dir=options.directory))
    try:
        measure(home, options.lines)
    finally:
        shutil.rmtree(home)


def measure(home: Path, count: int) -> None:
    roots = Roots.from_environment({"TIPHYS_HOME": str(home)})
    profile = Profile(
        "bench", roots, 1, "192.168.49.0/24", "10.244.0.0/16", "10.96.0.0/16", "192.168.49.128/25"
    )
    profile.save()
    cpu, wall, size = ingest(home, profile.log_store, count)
    print(f"lines                    {count:12,}  {size / 2**20:8.0f} MiB")
    print(f"taken, per second of CPU {count / cpu:12,.0f}")
    print(f"taken, per second        {count / wall:12,.0f}  {size / wall / 2**20:8.0f} MiB/s")
    block = f"bs={size // (count // CHUNK_LINES)}"
    blocks = f"count={count // CHUNK_LINES}"
    plain = timed(["dd", "if=/dev/zero", f"of={home}/dd", block, blocks, "oflag=dsync"])
    (home / "dd").unlink()
    print(f"  dd, same writes synced               {size / plain / 2**20:8.0f} MiB/s")
    files = [str(segment.path_of(profile.log_store, n)) for n in segment.numbers(profile.log_store)]
    print(f"  grep -F for a rare text  {timed(['grep', '-F', NEEDLE, *files]) * 1e3:8.0f} ms")
    for what, words in (
        ("a rare text", (NEEDLE,)),
        ("... -l app=app-4 --since 1h", (NEEDLE, "-l", "app=app-4", "--since", "1h")),
        ("a text that is nowhere", ("nowhere-at-all",)),
        ("a common text, --limit 100", ("GET", "--limit", "100")),
        ("-E 'items/777[0-9]+ .* 17ms '", ("-E", "items/777[0-9]+ .* 17ms ")),
    ):
        seconds, found = search(home, *words)
        print(f"{what:30} {seconds * 1e3:8.0f} ms  {found} found")


if __name__ == "__main__":
    main()
