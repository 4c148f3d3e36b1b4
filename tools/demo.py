"""The main job, shown: a cluster, a Deployment, a Service, an answer from outside.

Run by `make demo`; needs neither kubectl nor curl. Running it again works as well.
"""

import argparse
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Final

TIPHYS: Final = Path(sys.executable).parent / "tiphys"
IMAGE: Final = "gcr.io/hello-minikube-zero-install/hello-node"
ANSWER_SECONDS_MAX: Final = 60.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", default="tiphys")
    profile = parser.parse_args().profile
    if os.geteuid() != 0:
        print("make demo runs real containers and needs root: sudo make demo", file=sys.stderr)
        return 1
    run("start", "-p", profile, "--wait")
    kubectl = ("-p", profile, "kubectl")
    ensure(*kubectl, "create", "deployment", "hello-node", f"--image={IMAGE}")
    expose = ("expose", "deployment", "hello-node", "--type=LoadBalancer", "--port=8080")
    ensure(*kubectl, *expose)
    url = run("service", "hello-node", "--url", "-p", profile, quiet=True).strip()
    text = answer(url)
    if text is None:
        print(f"no answer from {url} in {ANSWER_SECONDS_MAX:g} s", file=sys.stderr)
        print(run(*kubectl, "get", "pods,events", quiet=True), file=sys.stderr)
        return 1
    print(f"\n{url} answers: {text}\n")
    print(run(*kubectl, "get", "deployments,pods,services", quiet=True))
    own = os.path.relpath(TIPHYS)
    flag = "" if profile == "tiphys" else f" -p {profile}"
    print("Next:")
    print(f"  {own}{flag} kubectl scale deployment hello-node --replicas=3")
    print(f"  {own}{flag} kubectl get pods -o wide")
    print("  make demo-clean")
    return 0


def run(*arguments: str, quiet: bool = False) -> str:
    """A tiphys command; its output is shown too unless quiet. Ends the demo when it fails."""
    if not quiet:
        print(f"$ tiphys {' '.join(arguments)}", flush=True)
    done = subprocess.run(
        [str(TIPHYS), *arguments], stdout=subprocess.PIPE if quiet else None, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(done.returncode)
    return done.stdout or ""


def ensure(*arguments: str) -> None:
    """Make something; that it is there already (from the run before) is fine."""
    print(f"$ tiphys {' '.join(arguments)}", flush=True)
    done = subprocess.run([str(TIPHYS), *arguments], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        print(done.stdout, end="", flush=True)
    elif "(AlreadyExists)" in done.stderr:
        print("it is there already", flush=True)
    else:
        print(done.stderr, end="", file=sys.stderr)
        raise SystemExit(done.returncode)


def answer(url: str) -> str | None:
    """What the URL answers, as soon as it does."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + ANSWER_SECONDS_MAX
    while time.monotonic() < deadline:
        try:
            with direct.open(url, timeout=2) as found:
                return str(found.read().decode().strip())
        except (OSError, urllib.error.URLError):
            time.sleep(0.1)
    return None


if __name__ == "__main__":
    sys.exit(main())
