"""Status of ValidatingAdmissionPolicies: whether their expressions fit the kinds they are for.

Upstream: pkg/controller/validatingadmissionpolicystatus/controller.go.
Reads ValidatingAdmissionPolicy, OpenAPI. Writes the policies' status.
"""

from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from tiphys.api.errors import ApiError, NotFound
from tiphys.api.meta import (
    GroupVersionKind,
    GroupVersionResource,
    Obj,
    ObjectKey,
    at,
    is_terminating,
    key_of,
    name_of,
)
from tiphys.api.resources import by_kind, resource
from tiphys.client.controller import Context, KeyedController
from tiphys.client.rest import PATCH_TYPES, path_of
from tiphys.controllers.kinds import VALIDATING_ADMISSION_POLICIES

if TYPE_CHECKING:
    from tiphys.cel.schema_types import SchemaType

MANAGER: Final = "validatingadmissionpolicy-status"


class ValidatingPolicyStatusController(KeyedController):
    """Only metadata is kept: a policy is read when it has changed."""

    name = "validatingadmissionpolicy-status-controller"
    workers = 1

    def __init__(self, context: Context) -> None:
        super().__init__()
        self._client = context.client_for(self.name)
        policies = context.informers.of(VALIDATING_ADMISSION_POLICIES, metadata_only=True)
        policies.on_change(lambda old, new: self._changed(new))

    def _changed(self, policy: Obj | None) -> None:
        if policy is not None:
            self.queue.add(key_of(policy))

    async def reconcile(self, key: ObjectKey) -> float | None:
        with suppress(NotFound):
            policy = await self._client.get(VALIDATING_ADMISSION_POLICIES, key.name)
            generation = at(policy, "metadata", "generation", default=0)
            observed = at(policy, "status", "observedGeneration", default=0)
            if generation > observed and not is_terminating(policy):
                await self._write(policy, generation)
        return None

    async def _write(self, policy: Obj, generation: int) -> None:
        from tiphys.controllers.policy_type_checks import resources_of, warnings

        kinds = await self._kinds(resources_of(policy))
        found = warnings(policy, kinds, await self._params(policy))
        checked = {"expressionWarnings": found} if found else {}
        status = {"observedGeneration": generation, "typeChecking": checked}
        config = {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": name_of(policy)},
            "status": status,
        }
        path = path_of(VALIDATING_ADMISSION_POLICIES, "", name_of(policy), "status")
        query = {"fieldManager": MANAGER, "force": "true"}
        await self._client.request(
            "PATCH", path, config, query=query, content_type=PATCH_TYPES["apply"]
        )

    async def _kinds(
        self, resources: Iterable[GroupVersionResource]
    ) -> list[tuple[GroupVersionKind, "SchemaType"]]:
        found: dict[GroupVersionKind, SchemaType] = {}
        for gvr in resources:
            kind = await self._kind_of(gvr)
            made = await self._type_of(kind) if kind is not None else None
            if kind is not None and made is not None:
                found[kind] = made
        return list(found.items())

    async def _params(self, policy: Obj) -> "SchemaType | None":
        kind = policy["spec"].get("paramKind")
        if kind is None:
            return None
        group, _, version = kind["apiVersion"].rpartition("/")
        return await self._type_of(GroupVersionKind(group, version, kind["kind"]))

    async def _kind_of(self, gvr: GroupVersionResource) -> GroupVersionKind | None:
        known = resource(*gvr)
        if known is not None:
            return known.gvk
        path = f"/apis/{gvr.group}/{gvr.version}" if gvr.group else f"/api/{gvr.version}"
        for one in (await self._document(path)).get("resources") or ():
            if one["name"] == gvr.resource:
                return GroupVersionKind(gvr.group, gvr.version, one["kind"])
        return None

    async def _type_of(self, gvk: GroupVersionKind) -> "SchemaType | None":
        from tiphys.cel.builtin_types import builtin_type
        from tiphys.controllers.policy_type_checks import custom_type

        known = by_kind(gvk)
        if known is not None:
            return builtin_type(known.schema_type)
        path = f"/openapi/v3/apis/{gvk.group}/{gvk.version}"
        return custom_type(await self._document(path), gvk)

    async def _document(self, path: str) -> dict[str, Any]:
        """Empty where nothing is served: what is not known is not checked."""
        try:
            return dict(await self._client.request("GET", path))
        except ApiError:
            return {}
