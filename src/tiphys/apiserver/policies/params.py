"""The objects that a binding gives a policy as its parameters.

Upstream: apiserver/pkg/admission/plugin/policy/generic/policy_dispatcher.go (CollectParams).
"""

from collections.abc import Mapping
from typing import Final

from tiphys.api import labels
from tiphys.api.meta import Obj, labels_of
from tiphys.apiserver.endpoint import Endpoint

Endpoints = Mapping[tuple[str, str, str], Endpoint]
_NOT_FOUND: Final = "no params found for policy binding with `Deny` parameterNotFoundAction"


class ParamError(Exception):
    """A binding cannot be used; the text says why."""


def params_of(policy: Obj, binding: Obj, namespace: str, endpoints: Endpoints) -> list[Obj | None]:
    """One for each evaluation: None where the policy has no parameters. Raises ParamError."""
    kind, ref = policy["spec"].get("paramKind"), binding["spec"].get("paramRef")
    if kind is None or ref is None:
        return [None]
    endpoint = _endpoint(kind, endpoints)
    if endpoint is None:
        shown = f"&ParamKind{{APIVersion:{kind['apiVersion']},Kind:{kind['kind']},}}"
        raise ParamError(f"paramKind kind `{shown}` not known")
    where = _namespace(ref, endpoint, namespace)
    found: list[Obj | None] = []
    if ref.get("name"):
        cached = endpoint.cache.get(endpoint.key(where, ref["name"]))
        found = [_with_kind(endpoint, endpoint.decode(cached))] if cached is not None else []
    else:
        found = list(_selected(endpoint, where, ref.get("selector") or {}))
    if not found and ref.get("parameterNotFoundAction") == "Deny":
        raise ParamError(_NOT_FOUND)
    return found


def _endpoint(kind: Obj, endpoints: Endpoints) -> Endpoint | None:
    group, _, version = kind["apiVersion"].rpartition("/")
    for (its_group, its_version, _), endpoint in endpoints.items():
        if (its_group, its_version, endpoint.info.kind) == (group, version, kind["kind"]):
            return endpoint
    return None


def _namespace(ref: Obj, endpoint: Endpoint, namespace: str) -> str:
    named = ref.get("namespace") or ""
    if not endpoint.info.namespaced:
        if named:
            text = "paramRef.namespace must not be provided for a cluster-scoped `paramKind`"
            raise ParamError(text)
        return ""
    if not named and not namespace:
        text = (
            "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources"
        )
        raise ParamError(text)
    return named or namespace


def _selected(endpoint: Endpoint, namespace: str, selector: Obj) -> list[Obj]:
    found = []
    for cached in endpoint.cache.range(endpoint.collection(namespace)):
        obj = endpoint.decode(cached)
        if labels.matches_object(selector, labels_of(obj)):
            found.append(_with_kind(endpoint, obj))
    return found


def _with_kind(endpoint: Endpoint, obj: Obj) -> Obj:
    info = endpoint.info
    return obj | {"apiVersion": info.gvk.api_version, "kind": info.kind}
