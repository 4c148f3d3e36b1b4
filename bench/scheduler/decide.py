"""The processor time of decisions: 1,000 pods, one after the other, onto 100 nodes in 4 zones.

Each line is one kind of pod: plain ones, those that a Service spreads by default, those that say
how they are to be spread or whom they avoid, and those that others must make room for.
"""

import random
import time
from typing import Any, Final

from tiphys.api.labels import EVERYTHING, Selector, from_set
from tiphys.api.meta import Obj
from tiphys.scheduler import cycle
from tiphys.scheduler.cache import Cache
from tiphys.scheduler.framework import PodInfo
from tiphys.scheduler.plugins import default_preemption
from tiphys.scheduler.plugins.default_profile import DEFAULT

NODES: Final = 100
PODS: Final = 1000
PREEMPTIONS: Final = 20
HOSTNAME: Final = "kubernetes.io/hostname"
ZONE: Final = "topology.kubernetes.io/zone"
LABELS: Final = {"app": "web"}
_REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED: Final = "preferredDuringSchedulingIgnoredDuringExecution"
WEB: Final = {"labelSelector": {"matchLabels": LABELS}}
SPREAD: Final = [
    {**WEB, "topologyKey": ZONE, "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"},
    {**WEB, "topologyKey": HOSTNAME, "maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway"},
]
AVOIDING: Final = {
    "podAntiAffinity": {
        _PREFERRED: [{"weight": 10, "podAffinityTerm": {**WEB, "topologyKey": HOSTNAME}}]
    },
    "podAffinity": {_REQUIRED: [{**WEB, "topologyKey": ZONE}]},
}


def a_node(n: int) -> Obj:
    name = f"n{n}"
    return {
        "metadata": {"name": name, "labels": {HOSTNAME: name, ZONE: f"z{n % 4}"}},
        "spec": {},
        "status": {"allocatable": {"cpu": "4", "memory": "16Gi", "pods": "110"}},
    }


def a_pod(n: int, **spec: Any) -> Obj:
    container = {"name": "c", "image": "i", "resources": {"requests": {"cpu": "100m"}}}
    metadata = {"name": f"p{n}", "namespace": "default", "uid": f"u{n}", "labels": LABELS}
    return {"metadata": metadata, "spec": {"containers": [container], **spec}, "status": {}}


def measure(name: str, siblings: Selector = EVERYTHING, **spec: Any) -> Cache:
    cache, rng = Cache(), random.Random(1)
    for n in range(NODES):
        cache.set_node(a_node(n))
    begun = time.process_time()
    for n in range(PODS):
        info = PodInfo(a_pod(n, **spec), siblings=siblings)
        decision = cycle.decide(info, cache.snapshot(), DEFAULT, rng, n % NODES)
        assert decision.node, decision
        cache.assume(info, decision.node)
    print(f"{name:12} {(time.process_time() - begun) / PODS * 1000:7.2f} ms per pod")
    return cache


def measure_preemption(cache: Cache) -> None:
    """Every node has something that may go, and none has room."""
    container = {"name": "c", "image": "i", "resources": {"requests": {"cpu": "3900m"}}}
    begun = time.process_time()
    for n in range(PREEMPTIONS):
        info = PodInfo(a_pod(PODS + n, priority=9, containers=[container]))
        snapshot = cache.snapshot()
        diagnosis = cycle.decide(info, snapshot, DEFAULT, random.Random(1)).diagnosis
        assert diagnosis is not None
        found = default_preemption.preempt(info, snapshot, DEFAULT, diagnosis, [], n)
        assert found.candidate is not None
    print(f"{'preemption':12} {(time.process_time() - begun) / PREEMPTIONS * 1000:7.2f} ms per pod")


if __name__ == "__main__":
    plain = measure("plain")
    measure("of a Service", from_set(LABELS))
    measure("spread", topologySpreadConstraints=SPREAD)
    measure("avoiding", affinity=AVOIDING)
    measure_preemption(plain)
