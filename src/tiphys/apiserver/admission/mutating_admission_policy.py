"""MutatingAdmissionPolicy: what users' expressions make of an object before it is stored.

Upstream: apiserver pkg/admission/plugin/policy/mutating/dispatcher.go,
pkg/admission/plugin/policy/generic/policy_dispatcher.go.
"""

from typing import TYPE_CHECKING

from tiphys.api.errors import ApiError, StatusCause
from tiphys.api.meta import Obj
from tiphys.apiserver.admission.chain import ALL, Resources, Write
from tiphys.apiserver.admission.policy_plugin import PolicyPlugin
from tiphys.apiserver.admission.refusal import refuse
from tiphys.apiserver.endpoint import Endpoint
from tiphys.apiserver.filters.authorization import RbacAuthorizer
from tiphys.codec import json
from tiphys.codec.fields.shape import Shape, shape_of
from tiphys.codec.typed import DecodeError, to_typed

if TYPE_CHECKING:
    from tiphys.apiserver.policies.mutating import Kind, MutatingPolicy
    from tiphys.apiserver.policies.source import Call, Hooks


class MutatingAdmissionPolicy(PolicyPlugin["MutatingPolicy"]):
    name = "MutatingAdmissionPolicy"
    resources: Resources = ALL

    def __init__(
        self, endpoints: dict[tuple[str, str, str], Endpoint], authorizer: RbacAuthorizer
    ) -> None:
        super().__init__(endpoints, authorizer, "mutatingadmissionpolicy")

    def mutate(self, write: Write) -> None:
        """Raises ApiError where a policy fails that must not."""
        if self.is_idle or write.obj is None:
            return
        if write.is_again and not write.noted:
            return
        endpoint = self._endpoint(write, write.obj)
        if endpoint is None:
            return
        kind = _kind(endpoint, write)
        errors: list[str] = []
        reason = ""  # The first error's.
        # All of them first: what one changes has no influence on who is asked.
        for call in list(self._loaded().calls(write, self.endpoints, self._namespaces)):
            if write.is_again and call.key not in write.noted:
                continue
            found = [call.error] if call.error else _called(call, write, kind)
            if found and not call.policy.ignores_errors:
                errors += [f"{_told(call)} denied request: {error}" for error in found]
                reason = reason or ("Forbidden" if call.error else "Invalid")
        if errors:
            raise _refusal(write, errors, reason)

    def _endpoint(self, write: Write, obj: Obj) -> Endpoint | None:
        """None where the request's object is not of the resource's kind: what is bound, evicted."""
        info = write.info
        endpoint = self.endpoints.get((info.group, info.version, info.resource))
        if endpoint is None or obj.get("kind") != endpoint.info.kind:
            return None
        return endpoint

    def _load(self) -> "Hooks[MutatingPolicy]":
        from tiphys.apiserver.policies.mutating import MutatingPolicy
        from tiphys.apiserver.policies.source import Hooks

        return Hooks(self._policies, self._bindings, MutatingPolicy, self._authorizer)


def _told(call: "Call[MutatingPolicy]") -> str:
    return f"policy '{call.policy.name}' with binding '{call.binding['metadata']['name']}'"


def _refusal(write: Write, errors: list[str], reason: str) -> ApiError:
    error = refuse(write, "", [StatusCause("", text) for text in errors])
    error.message, error.reason = errors[0], reason
    return error


def _called(call: "Call[MutatingPolicy]", write: Write, kind: "Kind") -> list[str]:
    """Changes the object; says what went wrong."""
    from tiphys.apiserver.policies.activation import shown_object
    from tiphys.apiserver.policies.mutating import PolicyError

    policy, obj = call.policy, write.obj
    assert obj is not None
    errors: list[str] = []
    try:
        if not policy.is_asked({**call.known, "object": shown_object(write, obj, call.version)}):
            return []
    except PolicyError as error:
        return [str(error)]
    if policy.is_reinvocable:
        write.noted |= {call.key}
    for mutation in policy.mutations:
        known = {**call.known, "object": shown_object(write, obj, call.version)}
        try:
            made = policy.patched(mutation, known, obj, kind)
        except PolicyError as error:
            errors.append(str(error))
            continue
        if made != obj:
            write.wants_again = True
            obj.clear()
            obj.update(made)
    return errors


def _kind(endpoint: Endpoint, write: Write) -> "Kind":
    from tiphys.apiserver.policies.mutating import Kind

    custom, info = endpoint.custom, endpoint.info
    shape: Shape = custom.shape if custom is not None else shape_of(info.schema_type)

    def completed(patched: Obj) -> Obj:
        """Raises DecodeError."""
        if custom is not None:
            made, _ = custom.decoded(patched)
        else:
            unknown = json.strict_errors(patched, None, info.schema_type)
            if unknown:
                raise DecodeError(f"strict decoding error: {', '.join(unknown)}")
            made = to_typed(patched, info.schema_type)
        metadata = made.setdefault("metadata", {})
        if info.namespaced:  # No policy moves an object.
            metadata["namespace"] = write.info.namespace
        made = {**made, "kind": info.kind, "apiVersion": info.gvk.api_version}
        endpoint.resource.default(made)
        return _with_kept_parts(write, made, has_status="status" in info.subresources)

    return Kind(shape, completed)


def _with_kept_parts(write: Write, made: Obj, *, has_status: bool) -> Obj:
    """What the request itself could not change stays as it was."""
    before = write.obj or {}
    if write.info.subresource == "status":
        parts = ("metadata", "status")
        kept = {key: value for key, value in before.items() if key not in parts}
        return kept | {key: made[key] for key in parts if key in made}
    if has_status and write.operation == "UPDATE":
        made.pop("status", None)
        return made | ({"status": before["status"]} if "status" in before else {})
    return made
