"""Replay the recorded answers of kube-apiserver on a control plane of ours, and print the share.

    python tools/oracle.py [--topic protocol writes control] [--only WORD] [--show N] [--jobs N]

Starts a profile of its own without nodes, replays every file of the topics (README beside them),
prints each file that differs and the share per topic, and deletes the profile.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
ORACLE = ROOT.parent / "shared" / "oracle"
PROFILE = "oracle"
FILE_SECONDS_MAX = 300
TIPHYS = [str(Path(sys.executable).with_name("tiphys"))]


class Result(NamedTuple):
    topic: str
    name: str
    good: int
    count: int
    seconds: float
    output: str


def replay(path: Path, kubeconfig: Path, only: str, show: int) -> Result:
    begun = time.monotonic()
    words = [sys.executable, str(ORACLE / "replay.py"), "--kubeconfig", str(kubeconfig)]
    words += ["--show", str(show), "--only", only, str(path)]
    try:
        output = subprocess.run(
            words, capture_output=True, text=True, timeout=FILE_SECONDS_MAX, check=False
        ).stdout
    except subprocess.TimeoutExpired:
        output = f"0 of 0 cases: no end after {FILE_SECONDS_MAX} s"
    last = output.strip().splitlines()[-1].split() if output.strip() else ["0", "of", "0"]
    seconds = time.monotonic() - begun
    name = path.name.removesuffix(".jsonl.gz")
    return Result(path.parent.name, name, int(last[0]), int(last[2]), seconds, output)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--topic", nargs="*", default=["protocol", "writes", "control"])
    options.add_argument("--only", default="")
    options.add_argument("--show", type=int, default=0, help="differing cases to print per file")
    options.add_argument("--jobs", type=int, default=6)
    options.add_argument("--kubeconfig", type=Path, help="a cluster that runs already")
    args = options.parse_args()
    if not ORACLE.exists():
        print(f"{ORACLE} is not here: nothing to replay", file=sys.stderr)
        return 0
    files = [f for t in args.topic for f in sorted((ORACLE / "cases" / t).glob("*.jsonl.gz"))]
    if args.kubeconfig:
        return report(files, args.kubeconfig, args)
    with tempfile.TemporaryDirectory() as directory:
        kubeconfig = Path(directory) / "config"
        environment = os.environ | {"KUBECONFIG": str(kubeconfig)}
        start = [*TIPHYS, "-p", PROFILE, "start", "--nodes", "0", "--wait"]
        subprocess.run(start, check=True, env=environment)
        try:
            return report(files, kubeconfig, args)
        finally:
            subprocess.run([*TIPHYS, "-p", PROFILE, "delete"], check=False, env=environment)


def report(files: list[Path], kubeconfig: Path, args: argparse.Namespace) -> int:
    with ThreadPoolExecutor(args.jobs) as pool:
        results = list(pool.map(lambda f: replay(f, kubeconfig, args.only, args.show), files))
    for result in results:
        if result.good != result.count or (not result.count and not args.only):
            print(f"{result.good:5} of {result.count:5}  {result.topic}/{result.name}")
            if args.show:
                print(result.output)
    for topic in args.topic:
        own = [r for r in results if r.topic == topic]
        good, count = sum(r.good for r in own), sum(r.count for r in own)
        print(f"{topic}: {good} of {count} cases answer as upstream")
    return 0


if __name__ == "__main__":
    sys.exit(main())
