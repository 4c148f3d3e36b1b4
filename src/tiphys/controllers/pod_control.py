"""Pods that controllers create and delete, and the events that tell of it.

Upstream: pkg/controller/controller_utils.go RealPodControl, slowStartBatch.
"""

import asyncio
import copy
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from tiphys.api.errors import ApiError, NotFound
from tiphys.api.meta import Obj, at, name_of, namespace_of
from tiphys.client.recorder import EventRecorder
from tiphys.client.rest import Client
from tiphys.controllers import owners
from tiphys.controllers.kinds import PODS

SLOW_START_INITIAL: Final = 1  # Creations tried first; doubled while they succeed.
GENERATE_NAME_MAX: Final = 63  # A longer owner's name gets no dash.


def pod_from_template(owner: Obj, template: Obj | None = None) -> Obj:
    """The pod that a controller creates from its template."""
    template = template or copy.deepcopy(at(owner, "spec", "template", default={}))
    described = template.get("metadata") or {}
    name = name_of(owner)
    metadata: Obj = {
        "generateName": f"{name}-" if len(name) < GENERATE_NAME_MAX else name,
        "namespace": namespace_of(owner),
        "ownerReferences": [owners.owner_reference(owner)],
    }
    for key in ("labels", "annotations", "finalizers"):
        if described.get(key):
            metadata[key] = described[key]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


class PodControl:
    """Each write is an event about the owner, whether it worked or not."""

    def __init__(self, client: Client, recorder: EventRecorder) -> None:
        self._client = client
        self._recorder = recorder

    async def create(self, owner: Obj, pod: Obj) -> Obj:
        """Raises ApiError."""
        try:
            created = await self._client.create(PODS, pod)
        except ApiError as exc:
            if not is_namespace_ending(exc):
                text = f"Error creating: {exc.message}"
                self._recorder.event(owner, "Warning", "FailedCreate", text)
            raise
        text = f"Created pod: {name_of(created)}"
        self._recorder.event(owner, "Normal", "SuccessfulCreate", text)
        return created

    async def delete(self, owner: Obj, pod: Obj) -> None:
        """Raises ApiError; NotFound is no news to anybody."""
        try:
            await self._client.delete(PODS, name_of(pod), namespace_of(pod))
        except NotFound:
            raise
        except ApiError as exc:
            text = f"Error deleting: {exc.message}"
            self._recorder.event(owner, "Warning", "FailedDelete", text)
            raise
        text = f"Deleted pod: {name_of(pod)}"
        self._recorder.event(owner, "Normal", "SuccessfulDelete", text)


def is_namespace_ending(error: ApiError) -> bool:
    """The namespace goes away: creating in it fails for ever and is no news."""
    return any(c.reason == "NamespaceTerminating" for c in error.causes)


async def slow_start(
    creations: Sequence[Callable[[], Awaitable[object]]],
) -> tuple[int, ApiError | None]:
    """Create in batches of 1, 2, 4, ...; stop at the first batch with an error.

    Returns how many succeeded and the first error. A full quota so costs one request, not 500.
    """
    created, size, begun = 0, SLOW_START_INITIAL, 0
    while begun < len(creations):
        batch = creations[begun : begun + size]
        results = await asyncio.gather(*[create() for create in batch], return_exceptions=True)
        failures = [r for r in results if isinstance(r, BaseException)]
        created += len(batch) - len(failures)
        for failure in failures:
            if isinstance(failure, ApiError):
                return created, failure
            raise failure
        begun += len(batch)
        size *= 2
    return created, None
