"""TTL: tells kubelets how long they may use a Secret or ConfigMap before they look again.

The larger the cluster, the longer. Upstream: pkg/controller/ttl/ttl_controller.go.
Reads Node. Writes the annotation of Node.
"""

from typing import Final, NamedTuple

from tiphys.api.errors import NotFound
from tiphys.api.meta import Obj, ObjectKey, annotations_of
from tiphys.client.controller import Context, KeyedController
from tiphys.controllers.kinds import NODES

ANNOTATION: Final = "node.alpha.kubernetes.io/ttl"


class Step(NamedTuple):
    """The time for clusters of `at_least` to `at_most` nodes; steps overlap, so none flaps."""

    at_least: int
    at_most: int
    ttl_seconds: int


STEPS: Final = (  # ttlBoundaries
    Step(0, 100, 0),
    Step(90, 500, 15),
    Step(450, 1000, 30),
    Step(900, 2000, 60),
    Step(1800, 2**31, 300),
)


def next_step(step: int, node_count: int) -> int:
    """The index in STEPS for so many nodes, coming from the given one."""
    while node_count > STEPS[step].at_most:
        step += 1
    while node_count < STEPS[step].at_least:
        step -= 1
    return step


class TtlController(KeyedController):
    name = "ttl-controller"

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._client = context.client_for("ttl-controller")
        self._nodes = context.informers.of(NODES)
        self._step = 0
        self._nodes.on_change(self._changed)

    def _changed(self, old: Obj | None, new: Obj | None) -> None:
        step = next_step(self._step, len(self._nodes))
        if step != self._step:
            self._step = step
            for node in self._nodes.items():
                self.enqueue(None, node)
        if new is not None:
            self.enqueue(old, new)

    async def reconcile(self, key: ObjectKey) -> float | None:
        node = self._nodes.get(key)
        wanted = str(STEPS[self._step].ttl_seconds)
        if node is None or annotations_of(node).get(ANNOTATION) == wanted:
            return None
        patch = {"metadata": {"annotations": {ANNOTATION: wanted}}}
        try:
            await self._client.patch(NODES, key.name, patch)
        except NotFound:
            return None
        return None
