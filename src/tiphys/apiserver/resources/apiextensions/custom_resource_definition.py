"""CustomResourceDefinition.

Upstream: apiextensions-apiserver pkg/registry/customresourcedefinition.
"""

from typing import Final

from tiphys.api.meta import Obj, at
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import generation
from tiphys.apiserver.resources.resource import Resource

_INFO = built_in("apiextensions.k8s.io", "v1", "customresourcedefinitions")


EMPTY_STATUS: Final[Obj] = {
    "conditions": None,
    "acceptedNames": {"plural": "", "kind": ""},
    "storedVersions": None,
}


def default(definition: Obj) -> None:
    spec = definition["spec"]
    names = spec["names"]
    if not names.get("singular"):
        names["singular"] = names.get("kind", "").lower()
    if not names.get("listKind") and names.get("kind"):
        names["listKind"] = f"{names['kind']}List"
    conversion = spec.setdefault("conversion", {"strategy": "None"})
    service = at(conversion, "webhook", "clientConfig", "service")
    if service is not None:
        service.setdefault("port", 443)
    definition.setdefault("status", dict(EMPTY_STATUS))


def before_create(definition: Obj) -> None:
    generation.start(definition)
    stored = [v["name"] for v in definition["spec"].get("versions") or () if v.get("storage")]
    definition["status"] = EMPTY_STATUS | {"storedVersions": stored or None}


CUSTOM_RESOURCE_DEFINITION = Resource(
    _INFO,
    default=default,
    before_create=before_create,
    before_update=generation.updated,
    before_status_update=generation.status_updated,
)
