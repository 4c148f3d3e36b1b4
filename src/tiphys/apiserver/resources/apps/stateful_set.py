"""StatefulSet. Upstream: pkg/registry/apps/statefulset."""

from datetime import datetime
from typing import Any

from tiphys.api.meta import Obj, at
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells, generation
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.core.persistent_volume_claim import default as default_claim
from tiphys.apiserver.resources.pod_template import default_template
from tiphys.apiserver.resources.resource import Resource

_INFO = built_in("apps", "v1", "statefulsets")


def default(stateful_set: Obj) -> None:
    spec = stateful_set["spec"]
    spec.setdefault("podManagementPolicy", "OrderedReady")
    strategy = spec["updateStrategy"]
    if not strategy.get("type"):
        strategy["type"] = "RollingUpdate"
        strategy.setdefault("rollingUpdate", {})
    if strategy["type"] == "RollingUpdate" and "rollingUpdate" in strategy:
        strategy["rollingUpdate"].setdefault("partition", 0)
    retention = spec.setdefault("persistentVolumeClaimRetentionPolicy", {})
    retention.setdefault("whenDeleted", "Retain")
    retention.setdefault("whenScaled", "Retain")
    spec.setdefault("replicas", 1)
    spec.setdefault("revisionHistoryLimit", 10)
    default_template(spec.get("template"))
    for claim in spec.get("volumeClaimTemplates") or ():
        claim["apiVersion"], claim["kind"] = "v1", "PersistentVolumeClaim"
        default_claim(claim)
    stateful_set.setdefault("status", {"replicas": 0})


def _ready(stateful_set: Obj, _: datetime) -> Any:
    wanted = at(stateful_set, "spec", "replicas", default=0)
    return f"{at(stateful_set, 'status', 'readyReplicas', default=0)}/{wanted}"


STATEFUL_SET = Resource(
    _INFO,
    columns=columns_of(
        _INFO,
        cells.name,
        _ready,
        cells.age,
        cells.container_names("spec", "template", "spec"),
        cells.container_images("spec", "template", "spec"),
    ),
    default=default,
    before_create=generation.created({"replicas": 0, "availableReplicas": 0}),
    before_update=generation.updated,
    before_status_update=generation.status_updated,
)
