"""ReplicationController: what ReplicaSets were before; the same work under other names.

Upstream: pkg/controller/replication (an adapter over the ReplicaSet controller).
Reads ReplicationController, Pod. Writes Pod, ReplicationController/status.
"""

from collections.abc import Sequence

from tiphys.api.meta import Obj
from tiphys.controllers.kinds import REPLICATION_CONTROLLERS
from tiphys.controllers.replica_set import ReplicaSetController


class ReplicationControllerController(ReplicaSetController):
    name = "replication-controller"
    kind = "ReplicationController"
    resource = REPLICATION_CONTROLLERS

    def status_of(
        self,
        rs: Obj,
        active: Sequence[Obj],
        terminating: int,
        failure: tuple[str, str] | None,
    ) -> Obj:
        """A ReplicationController does not tell how many of its pods are going."""
        status = super().status_of(rs, active, terminating, failure)
        return {k: v for k, v in status.items() if k != "terminatingReplicas"}
