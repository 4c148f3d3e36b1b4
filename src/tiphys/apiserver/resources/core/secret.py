"""Secret. Upstream: pkg/registry/core/secret/strategy.go."""

import base64

from tiphys.api.meta import Obj
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.core import data_rules
from tiphys.apiserver.resources.resource import Resource

_INFO = built_in("", "v1", "secrets")


def default(secret: Obj) -> None:
    secret.setdefault("type", "Opaque")
    texts = secret.pop("stringData", None)
    if texts:
        data = secret.setdefault("data", {})
        data.update({k: base64.b64encode(v.encode()).decode() for k, v in texts.items()})


SECRET = Resource(
    _INFO,
    validate=data_rules.secret,
    validate_update=data_rules.secret_update,
    default=default,
    columns=columns_of(_INFO, cells.name, cells.value("type"), cells.count("data"), cells.age),
    selectable_fields={"type": lambda s: str(s.get("type", ""))},
)
