"""Reading pods for the checks, and upstream's ways of naming who is at fault."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from tiphys.api.meta import Obj, at


class Violation(NamedTuple):
    """reason: told of many pods at once. detail: told of one, in brackets; may be empty."""

    reason: str
    detail: str

    def __str__(self) -> str:
        return f"{self.reason} ({self.detail})" if self.detail else self.reason


Check = Callable[[Obj], Violation | None]


def containers(pod: Obj) -> Iterator[Obj]:
    """All kinds. Upstream: visitor.go, in this order."""
    for field in ("initContainers", "containers", "ephemeralContainers"):
        yield from at(pod, "spec", field, default=None) or []


def names(found: Iterable[Obj]) -> list[str]:
    return [str(container.get("name", "")) for container in found]


def counted(word: str, words: str, many: Sequence[object]) -> str:
    return word if len(many) == 1 else words


def quoted(texts: Iterable[str]) -> str:
    return ", ".join(f'"{text}"' for text in texts)


def who(bad: Sequence[str]) -> str:
    """`container "a"`, `containers "a", "b"`."""
    return f"{counted('container', 'containers', bad)} {quoted(bad)}"


def setters(pod: Obj, is_bad: Callable[[Obj], bool]) -> list[str]:
    """`pod`, `container "a"`: whose securityContext is bad."""
    found = []
    if is_bad(at(pod, "spec", "securityContext", default=None) or {}):
        found.append("pod")
    bad = names(c for c in containers(pod) if is_bad(c.get("securityContext") or {}))
    return [*found, who(bad)] if bad else found


def has_own_users(pod: Obj) -> bool:
    """Whether root inside is nobody outside. Source: KEP-127."""
    return at(pod, "spec", "hostUsers", default=None) is False
