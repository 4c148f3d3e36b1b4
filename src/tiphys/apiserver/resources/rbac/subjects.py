"""What role bindings share: defaults and cells of subjects.

Upstream: pkg/apis/rbac/v1/defaults.go, pkg/apis/rbac/helpers.go.
"""

from datetime import datetime
from typing import Any, Final

from tiphys.api.meta import Obj, at
from tiphys.apiserver.resources.columns import Cell

GROUP: Final = "rbac.authorization.k8s.io"


def default_binding(binding: Obj) -> None:
    if not binding["roleRef"].get("apiGroup"):
        binding["roleRef"]["apiGroup"] = GROUP
    for subject in binding.get("subjects") or ():
        if subject.get("kind") in {"User", "Group"}:
            subject.setdefault("apiGroup", GROUP)


def role(binding: Obj, _: datetime) -> Any:
    return f"{at(binding, 'roleRef', 'kind')}/{at(binding, 'roleRef', 'name')}"


def names(kind: str) -> Cell:
    """The subjects of a kind, `namespace/name` for service accounts."""

    def cell(binding: Obj, _: datetime) -> Any:
        found = [s for s in binding.get("subjects") or () if s.get("kind") == kind]
        if kind != "ServiceAccount":
            return ", ".join(s.get("name", "") for s in found)
        return ", ".join(_account(s) for s in found)

    return cell


def _account(subject: Obj) -> str:
    namespace = subject.get("namespace", "")
    return f"{namespace}/{subject.get('name', '')}" if namespace else str(subject.get("name", ""))
