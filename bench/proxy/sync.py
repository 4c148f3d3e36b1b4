"""How long the proxy takes to write 10,000 Services, and one change among them.

    python bench/proxy/sync.py [MODE [SERVICES]]

Each Service has three endpoints on 50 nodes. Yardstick: the nft command loads the same elements as
text, in the same minute. Needs root; works in a network namespace of its own.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from support.proxy_lab import a_service, a_slice, an_endpoint
from tiphys.api.meta import Obj, key_of
from tiphys.lib.netlink import netns
from tiphys.lib.netlink.route import route_socket
from tiphys.proxy import modes
from tiphys.proxy.config import ProxyConfig
from tiphys.proxy.layout import Layout
from tiphys.proxy.nft_table import first_chains, ruleset
from tiphys.proxy.nftables import run_nft
from tiphys.proxy.plan import plan
from tiphys.proxy.proxier import Proxier

ROUNDS, CHANGES, ENDPOINTS, NODES = 3, 50, 3, 50
NODE = "192.168.77.2"
SYNC_SECONDS_MAX, CHANGE_SECONDS_MAX = 0.5, 0.02


def objects(count: int) -> tuple[list[Obj], list[Obj]]:
    services = [
        a_service(f"s{n}", clusterIP=f"10.{96 + (n >> 16)}.{n >> 8 & 255}.{n & 255}")
        for n in range(count)
    ]
    slices = []
    for n in range(count):
        pods = range(n * ENDPOINTS, (n + 1) * ENDPOINTS)
        endpoints = [
            an_endpoint(f"10.{128 + (p >> 16)}.{p >> 8 & 255}.{p & 255}", node=f"n{p % NODES}")
            for p in pods
        ]
        slices.append(a_slice(*endpoints, name=f"s{n}"))
    return services, slices


async def measure(config: ProxyConfig, count: int) -> tuple[float, float, float]:
    """Seconds (wall, processor) of the first sync, and the median of one change."""
    services, slices = objects(count)
    by_key = {key_of(s): s for s in services}
    proxier = Proxier(modes.node_view(config), by_key, modes.make_writer(config))
    for service in services:
        proxier.service_changed(None, service)
    for one in slices:
        proxier.slice_changed(None, one)
    wall, cpu = time.perf_counter(), time.process_time()
    await proxier.sync()
    first, first_cpu = time.perf_counter() - wall, time.process_time() - cpu
    times = []
    for old in slices[:CHANGES]:
        new = {**old, "endpoints": old["endpoints"][1:]}
        proxier.slice_changed(old, new)
        began = time.perf_counter()
        await proxier.sync()
        times.append(time.perf_counter() - began)
    await proxier.close()
    return first, first_cpu, statistics.median(times)


def yardstick(config: ProxyConfig, count: int) -> float:
    """Seconds that the nft command takes for the same elements as text."""
    layout = Layout()
    layout.load(plan(*objects(count), modes.node_view(config)).frontends)
    text = ruleset(layout.elements(), [*first_chains()], config.cluster_cidr)
    began = time.perf_counter()
    run_nft(text)
    return time.perf_counter() - began


def main() -> int:
    mode = sys.argv[1] if len(sys.argv) > 1 else "nftables"
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
    config = ProxyConfig("n1", "10.128.0.0/9", (NODE,), "10.96.0.0/12", mode)
    best, missed = (float("inf"),) * 3, False
    with tempfile.TemporaryDirectory() as directory:
        for number in range(ROUNDS):
            namespace = Path(directory) / f"node{number}"
            netns.create(namespace)
            try:
                with netns.inside(namespace):
                    with route_socket() as route:
                        route.set_up("lo")
                        route.add_address("lo", f"{NODE}/32")
                    found = asyncio.run(measure(config, count))
                    text = yardstick(config, count)
            finally:
                netns.delete(namespace)
            best = min(best, found)
            print(
                f"{mode}, {count} Services: first sync {found[0]:.3f} s "
                f"(processor {found[1]:.3f} s; nft with the same elements {text:.3f} s, "
                f"ratio {found[0] / text:.2f}), "
                f"one change {found[2] * 1000:.2f} ms"
            )
    missed = best[0] > SYNC_SECONDS_MAX or best[2] > CHANGE_SECONDS_MAX
    goals = f"{SYNC_SECONDS_MAX} s, {CHANGE_SECONDS_MAX * 1000:.0f} ms"
    print(
        f"best: {best[0]:.3f} s, {best[2] * 1000:.2f} ms; goals of 10,000 in nftables mode: {goals}"
    )
    return int(missed and mode == "nftables")


if __name__ == "__main__":
    sys.exit(main())
