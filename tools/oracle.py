"""Replay the recorded answers of kube-apiserver on a control plane of ours, and print the share.

    python tools/oracle.py [--topic protocol writes control node kubectl] [--only WORD] [--show N]

Starts a profile of its own without nodes (with one for the topic `node`), replays every file of
the topics (README beside them), prints each file that differs and the share per topic, and deletes
the profile. The topic `kubectl` runs the recorded commands of kubectl 1.33 with the real one.
"""

import argparse
import base64
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
ORACLE = ROOT.parent / "shared" / "oracle"
PROFILE = "node1"  # Its node is named like the one of the recording.
FILE_SECONDS_MAX = 300
KUBECTL_SECONDS_MAX = 1800  # 600 commands, one after another.
KUBECTL = ORACLE / "kubectl.jsonl.gz"
KUBECTL_VERSION = "1.33"
# topic -> nodes of its cluster
NODES = {"protocol": 0, "writes": 0, "control": 0, "kubectl": 0, "node": 1}
TIPHYS = [str(Path(sys.executable).with_name("tiphys"))]


@dataclass(frozen=True)
class Result:
    topic: str
    name: str
    good: int
    count: int
    seconds: float
    output: str


def replay(path: Path, kubeconfig: Path, only: str, show: int) -> Result:
    begun = time.monotonic()
    is_kubectl = path == KUBECTL
    seconds_max = KUBECTL_SECONDS_MAX if is_kubectl else FILE_SECONDS_MAX
    program = ORACLE / ("kubectl.py" if is_kubectl else "replay.py")
    with tempfile.TemporaryDirectory() as directory:
        if is_kubectl:
            kubeconfig = as_recorded(kubeconfig, Path(directory))
        words = [sys.executable, str(program), "--kubeconfig", str(kubeconfig)]
        words += ["--command", real_kubectl()] if is_kubectl else []
        words += ["--show", str(show), "--only", only, str(path)]
        try:
            output = subprocess.run(
                words, capture_output=True, text=True, timeout=seconds_max, check=False
            ).stdout
        except subprocess.TimeoutExpired:
            output = f"0 of 0 cases: no end after {seconds_max} s"
    last = output.strip().splitlines()[-1].split() if output.strip() else ["0", "of", "0"]
    seconds = time.monotonic() - begun
    name = path.name.removesuffix(".jsonl.gz")
    topic = name if is_kubectl else path.parent.name
    return Result(topic, name, int(last[0]), int(last[2]), seconds, output)


def as_recorded(kubeconfig: Path, directory: Path) -> Path:
    """The same cluster and user under the recording's names, with the certificates in the file."""
    config = yaml.safe_load(kubeconfig.read_text())
    context = next(c for c in config["contexts"] if c["name"] == config["current-context"])
    cluster = named(config["clusters"], context["context"]["cluster"])["cluster"]
    user = named(config["users"], context["context"]["user"])["user"]
    made = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "d",
        "clusters": [{"name": "c", "cluster": with_data(cluster)}],
        "users": [{"name": "u", "user": with_data(user)}],
        "contexts": [{"name": "d", "context": {"cluster": "c", "user": "u"}}],
    }
    path = directory / "config"
    path.write_text(yaml.safe_dump(made))
    return path


def named(entries: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(entry for entry in entries if entry["name"] == name)


def with_data(entry: dict[str, Any]) -> dict[str, Any]:
    files = ("certificate-authority", "client-certificate", "client-key")
    return {
        (f"{k}-data" if k in files else k): (
            base64.b64encode(Path(v).read_bytes()).decode() if k in files else v
        )
        for k, v in entry.items()
    }


def real_kubectl() -> str:
    """The one of the recording's version beside kubectl on PATH, or that one."""
    found = shutil.which("kubectl") or "kubectl"
    beside = Path(found).resolve().with_name(f"kubectl.{KUBECTL_VERSION}")
    return str(beside) if beside.exists() else found


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--topic", nargs="*", default=list(NODES))
    options.add_argument("--only", default="")
    options.add_argument("--show", type=int, default=0, help="differing cases to print per file")
    options.add_argument("--jobs", type=int, default=6)
    options.add_argument("--kubeconfig", type=Path, help="a cluster that runs already")
    args = options.parse_args()
    if not ORACLE.exists():
        print(f"{ORACLE} is not here: nothing to replay", file=sys.stderr)
        return 0
    if args.kubeconfig:
        return report(files_of(args.topic), args.kubeconfig, args)
    for count in sorted({NODES[topic] for topic in args.topic}):
        with a_cluster(count) as kubeconfig:
            topics = [t for t in args.topic if NODES[t] == count]
            report(files_of(topics), kubeconfig, args)
    return 0


def files_of(topics: list[str]) -> list[Path]:
    files = [f for t in topics for f in sorted((ORACLE / "cases" / t).glob("*.jsonl.gz"))]
    return [*files, KUBECTL] if "kubectl" in topics else files


@contextmanager
def a_cluster(nodes: int) -> Iterator[Path]:
    """A throw-away cluster's kubeconfig."""
    with tempfile.TemporaryDirectory() as directory:
        kubeconfig = Path(directory) / "config"
        environment = os.environ | {"KUBECONFIG": str(kubeconfig)}
        start = [*TIPHYS, "-p", PROFILE, "start", "--nodes", str(nodes), "--wait"]
        subprocess.run(start, check=True, env=environment)
        try:
            yield kubeconfig
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
    for topic in dict.fromkeys(r.topic for r in results):
        own = [r for r in results if r.topic == topic]
        good, count = sum(r.good for r in own), sum(r.count for r in own)
        print(f"{topic}: {good} of {count} cases answer as upstream")
    return 0


if __name__ == "__main__":
    sys.exit(main())
