"""Admission: what may change or refuse a write after authorization, in upstream's order.

A plugin has `name`, `resources`, and `mutate(write)`, `validate(write)` or both.
Both raise ApiError.
Upstream: apiserver pkg/admission/{interfaces,chain}.go, pkg/kubeapiserver/options/plugins.go.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, Protocol, runtime_checkable

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


Resources = frozenset[tuple[str, str]] | None  # (group, resource); None: whatever is written.
ALL: Final[Resources] = None


class _Named(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def resources(self) -> Resources:
        """Whose writes it looks at, those of their subresources included."""
        ...


@runtime_checkable
class Mutating(_Named, Protocol):
    """A plugin that changes what is written."""

    def mutate(self, write: Write) -> None:
        """Change write.obj, or raise ApiError."""
        ...


@runtime_checkable
class Validating(_Named, Protocol):
    """A plugin that refuses."""

    def validate(self, write: Write) -> None:
        """Raise ApiError to refuse."""
        ...


Plugin = Mutating | Validating  # Or both.


class _Asked(NamedTuple):
    """Who looks at the writes of one resource, in order."""

    mutating: tuple[Mutating, ...]
    validating: tuple[Validating, ...]


class Chain:
    """All plugins, asked one after the other."""

    def __init__(self, plugins: Sequence[Plugin]) -> None:
        named = {r for plugin in plugins for r in plugin.resources or ()}
        self._asked = {resource: _asked(plugins, resource) for resource in named}
        self._others = _asked(plugins, None)

    def mutate(self, write: Write) -> None:
        plugins = self._of(write).mutating
        for plugin in plugins:
            plugin.mutate(write)
        if write.wants_again:
            write.is_again = True
            for plugin in plugins:
                plugin.mutate(write)

    def validate(self, write: Write) -> None:
        for plugin in self._of(write).validating:
            plugin.validate(write)

    def _of(self, write: Write) -> _Asked:
        return self._asked.get((write.info.group, write.info.resource), self._others)


def _asked(plugins: Sequence[Plugin], resource: tuple[str, str] | None) -> _Asked:
    """resource: None for those that no plugin names."""
    asked = [p for p in plugins if p.resources is None or resource in p.resources]
    return _Asked(
        tuple(p for p in asked if isinstance(p, Mutating)),
        tuple(p for p in asked if isinstance(p, Validating)),
    )
