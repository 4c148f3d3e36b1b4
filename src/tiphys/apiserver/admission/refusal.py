"""The refusal of a write in upstream's words: `pods "x" is forbidden: why`.

Upstream: apiserver pkg/admission/errors.go.
"""

from collections.abc import Sequence

from tiphys.api.errors import Forbidden, StatusCause
from tiphys.api.meta import Obj
from tiphys.apiserver.admission.chain import Write


def refuse(write: Write, why: str, causes: Sequence[StatusCause] = ()) -> Forbidden:
    info = write.info
    shown = write.obj or write.old or {}
    name = (shown.get("metadata") or {}).get("name", "") or info.name
    if not name:
        name = (shown.get("metadata") or {}).get("generateName", "")
    details: Obj = {"name": name} if name else {}
    if info.group:
        details["group"] = info.group
    return Forbidden(
        f'{info.qualified_resource} "{name}" is forbidden: {why}',
        details=details | {"kind": info.resource},
        causes=causes,
    )
