"""Secret. Upstream: pkg/registry/core/secret/strategy.go."""

import base64

from tiphys.api.meta import Obj
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.core import data_rules, tls_pair
from tiphys.apiserver.resources.resource import Resource

_INFO = built_in("", "v1", "secrets")


def default(secret: Obj) -> None:
    secret.setdefault("type", "Opaque")
    texts = secret.pop("stringData", None)
    if texts:
        data = secret.setdefault("data", {})
        data.update({k: base64.b64encode(v.encode()).decode() for k, v in texts.items()})


def warnings(secret: Obj, old: Obj | None) -> list[str]:
    """A TLS secret whose certificate and key do not fit is kept."""
    del old
    if secret.get("type") != "kubernetes.io/tls":
        return []
    data = secret.get("data") or {}
    pair = (base64.b64decode(data.get(field) or "") for field in ("tls.crt", "tls.key"))
    text = tls_pair.problem(*pair)
    return [text] if text else []


SECRET = Resource(
    _INFO,
    warnings=warnings,
    validate=data_rules.secret,
    validate_update=data_rules.secret_update,
    update_order=("meta", "change", "whole"),
    default=default,
    columns=columns_of(_INFO, cells.name, cells.value("type"), cells.count("data"), cells.age),
    selectable_fields={"type": lambda s: str(s.get("type", ""))},
)
