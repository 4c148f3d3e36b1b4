"""Admission: what may change or refuse a write after authorization, in upstream's order.

A plugin is an object with `name`, `mutate(write)` and `validate(write)`; both raise ApiError.
Upstream: apiserver pkg/admission/{interfaces,chain}.go, pkg/kubeapiserver/options/plugins.go.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from tiphys.api.meta import Obj
from tiphys.apiserver.request_info import RequestInfo
from tiphys.apiserver.user import User

Operation = Literal["CREATE", "UPDATE", "DELETE", "CONNECT"]


@dataclass(slots=True)
class Write:
    """One write on its way in. `obj` belongs to the request and may be changed by mutate."""

    operation: Operation
    info: RequestInfo
    user: User
    kind: str
    obj: Obj | None
    old: Obj | None
    warnings: list[str]
    is_dry_run: bool = False
    options: Obj | None = None
    annotate: Callable[[Mapping[str, str]], None] | None = None  # For the audit log.
    # What a policy changes, others look at again: the chain runs a second time, with what is noted.
    wants_again: bool = False
    is_again: bool = False
    noted: frozenset[tuple[str, str, str]] = frozenset()

    def is_(self, group: str, resource: str, subresource: str = "") -> bool:
        info = self.info
        return (info.group, info.resource, info.subresource) == (group, resource, subresource)


class Plugin(Protocol):
    """One admission plugin."""

    @property
    def name(self) -> str: ...

    def mutate(self, write: Write) -> None:
        """Change write.obj, or raise ApiError."""
        ...

    def validate(self, write: Write) -> None:
        """Raise ApiError to refuse."""
        ...


class Chain:
    """All plugins, asked one after the other."""

    def __init__(self, plugins: Sequence[Plugin]) -> None:
        self.plugins = tuple(plugins)

    def mutate(self, write: Write) -> None:
        for plugin in self.plugins:
            plugin.mutate(write)
        if write.wants_again:
            write.is_again = True
            for plugin in self.plugins:
                plugin.mutate(write)

    def validate(self, write: Write) -> None:
        for plugin in self.plugins:
            plugin.validate(write)
