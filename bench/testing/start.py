"""What a test pays for a cluster: import, the first one, a fresh one for each test, memory, hours.

Each first cluster has an interpreter of its own. Peers, by their documents and issues: envtest 7 s
without controllers, kwok 5 s, kind 33 s.
"""

import resource
import statistics
import subprocess
import sys
import time
from typing import Final, Literal

INTERPRETERS: Final = 7
CLUSTERS: Final = 40

FIRST: Final = """
import resource
import time
began = time.perf_counter()
from tiphys.testing.cluster import Cluster
imported = time.perf_counter()
cluster = Cluster().start()
print(imported - began, time.perf_counter() - imported, end=" ")
cluster.clock.freeze()
cluster.settle()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def first() -> tuple[float, float, float]:
    """Seconds of the import, from there to ready, and what memory it took; medians."""
    found = [
        subprocess.run(
            [sys.executable, "-c", FIRST], capture_output=True, text=True, check=True
        ).stdout.split()
        for _ in range(INTERPRETERS)
    ]
    imports, starts, sizes = zip(*(map(float, line) for line in found), strict=True)
    return statistics.median(imports), statistics.median(starts), statistics.median(sizes)


def fresh(kind: Literal["flowing", "frozen"]) -> tuple[list[float], list[float]]:
    """Seconds to start and to stop, one cluster after the other.

    A frozen one begins when all rests; of a flowing one the garbage collector still reads.
    """
    from tiphys.testing.cluster import Cluster

    starts, stops = [], []
    Cluster(time=kind).start().stop()
    for _ in range(CLUSTERS):
        began = time.perf_counter()
        cluster = Cluster(time=kind).start()
        ready = time.perf_counter()
        cluster.stop()
        starts.append(ready - began)
        stops.append(time.perf_counter() - ready)
    return starts, stops


def hour() -> float:
    """Seconds for an hour of an idle cluster with one node."""
    from tiphys.testing.cluster import Cluster

    with Cluster(time="frozen") as cluster:
        began = time.perf_counter()
        cluster.clock.advance("1h")
        return time.perf_counter() - began


def main() -> None:
    imported, ready, size = first()
    print(f"import                           {1000 * imported:7.0f} ms")
    print(f"from there to the first cluster  {1000 * ready:7.0f} ms")
    starts, _ = fresh("flowing")
    rested, stops = fresh("frozen")
    lines = (("fresh cluster, ready", starts), ("all at rest (frozen)", rested), ("its end", stops))
    for name, found in lines:
        best, middle = min(found), statistics.median(found)
        print(f"{name:32} {1000 * middle:7.1f} ms (best {1000 * best:.1f})")
    print(f"an idle hour                     {1000 * hour():7.0f} ms")
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10  # getrusage(2): bytes there, KB here.
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    print(f"memory of one                    {size / unit:7.0f} MB")
    print(f"memory after {2 * CLUSTERS + 3} clusters        {most:7.0f} MB, the most it ever was")


if __name__ == "__main__":
    main()
