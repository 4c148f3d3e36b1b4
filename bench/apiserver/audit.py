"""What an audit policy costs: CPU per request without one, and with one of level Metadata.

    python bench/apiserver/audit.py [--seconds 2] [--rounds 5]

One server, the policy switched on and off in turn, so that both see the same machine.
"""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench.apiserver.served import Served, config_map_text, served, writing, wrk


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=int, default=2)
    options.add_argument("--rounds", type=int, default=5)
    args = options.parse_args()
    with tempfile.TemporaryDirectory() as name, served(Path(name), {"default": 1}) as server:
        measure(server, args.seconds, args.rounds)


def measure(server: Served, seconds: int, rounds: int) -> None:
    core = f"{server.url}/api/v1/namespaces/default"
    create = writing(server, "create", "POST", "application/json", config_map_text())
    loads = {
        "GET pod, 50 connections": (f"{core}/pods/p00000", 50, server.header),
        "LIST pods, 10 connections": (f"{core}/pods", 10, server.header),
        "CREATE ConfigMap, 50": (f"{core}/configmaps", 50, create),
    }
    wrk(f"{core}/pods/p00000", [server.pid], 50, 1, *server.header)
    for name, (url, connections, more) in loads.items():
        cost: dict[bool, list[float]] = {False: [], True: []}
        for _ in range(rounds):
            for is_on, costs in cost.items():
                server.audit(is_on=is_on)
                costs.append(wrk(url, [server.pid], connections, seconds, *more).cpu_us)
        off, on = (statistics.median(cost[is_on]) for is_on in (False, True))
        more_us = on - off
        print(f"{name:28} {off:8.1f} us, Metadata {on:8.1f} us: {more_us / off:+.1%}")


if __name__ == "__main__":
    main()
