"""What a process full of controllers shows: its work queues, its lease, its requests.

Upstream: component-base/metrics/prometheus/{workqueue,clientgo/leaderelection,restclient}.
"""

from collections.abc import Mapping
from typing import Any

from tiphys.lib.metrics import gauge
from tiphys.lib.prometheus_text import Family, Sample
from tiphys.lib.workqueue import WorkQueue


def queue_families(queues: Mapping[str, WorkQueue[Any]]) -> list[Family]:
    """queues: by the name of their controller."""
    each = [((("name", name),), queue) for name, queue in queues.items()]
    return [
        Family(
            "workqueue_depth",
            "gauge",
            "[BETA] Current depth of workqueue",
            [Sample(labels, len(queue)) for labels, queue in each],
        ),
        Family(
            "workqueue_adds_total",
            "counter",
            "[BETA] Total number of adds handled by workqueue",
            [Sample(labels, queue.adds) for labels, queue in each],
        ),
        Family(
            "workqueue_retries_total",
            "counter",
            "[BETA] Total number of retries handled by workqueue",
            [Sample(labels, queue.retries) for labels, queue in each],
        ),
        Family(
            "workqueue_queue_duration_seconds",
            "histogram",
            "[BETA] How long in seconds an item stays in workqueue before being requested",
            [sample for labels, queue in each for sample in queue.waits.samples(labels)],
        ),
        Family(
            "workqueue_work_duration_seconds",
            "histogram",
            "[BETA] How long in seconds processing an item from workqueue takes.",
            [sample for labels, queue in each for sample in queue.works.samples(labels)],
        ),
    ]


def lease_family(name: str, *, is_leader: bool) -> Family:
    return gauge(
        "leader_election_master_status",
        "[ALPHA] Gauge of if the reporting system is master of the relevant lease, 0 indicates "
        "backup, 1 indicates master.",
        int(is_leader),
        ("name", name),
    )
