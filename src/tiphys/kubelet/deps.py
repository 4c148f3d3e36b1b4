"""What the parts that act for pods share."""

from collections.abc import Callable
from dataclasses import dataclass

from tiphys.api.meta import Obj
from tiphys.client.rest import Client
from tiphys.cri.client import CriClient
from tiphys.kubelet.config import KubeletConfig
from tiphys.kubelet.dns import ClusterDNS
from tiphys.kubelet.images import Images
from tiphys.kubelet.machine import Machine
from tiphys.kubelet.pod_events import PodEvents
from tiphys.kubelet.pod_sources import PodSources
from tiphys.kubelet.probes.prober import Prober
from tiphys.kubelet.restart import CrashBackOff
from tiphys.kubelet.runtime_cache import RuntimeCache
from tiphys.kubelet.status_writer import StatusWriter
from tiphys.lib.clock import Clock


@dataclass(frozen=True, slots=True)
class Deps:
    """One set for a whole kubelet."""

    config: KubeletConfig
    clock: Clock
    client: Client
    cri: CriClient
    cache: RuntimeCache
    sources: PodSources
    images: Images
    prober: Prober
    events: PodEvents
    statuses: StatusWriter
    back_off: CrashBackOff
    dns: ClusterDNS
    runtime_name: str
    host_ips: tuple[str, ...]
    services: Callable[[], list[Obj]]
    node: Callable[[], Obj]
    allocatable: Callable[[], dict[str, str]]
    machine: Machine
