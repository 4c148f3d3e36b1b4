"""Amounts of bytes that are no whole bytes, which writers are told of.

Upstream: pkg/api/pod/warnings.go, pkg/api/persistentvolumeclaim/util.go.
"""

from collections.abc import Iterable, Iterator

from tiphys.api.meta import Obj, at


def fractional(amounts: Obj | None, path: str, names: Iterable[str]) -> Iterator[str]:
    """Of canonical amounts: only what has a fraction is written in thousandths."""
    for name in names if amounts else ():
        value = str((amounts or {}).get(name, ""))
        if value.endswith("m"):
            text = f'fractional byte value "{value}" is invalid, must be an integer'
            yield f"{path}[{name}]: {text}"


def claim_amounts(spec: Obj, path: str) -> Iterator[str]:
    """Of the spec of a PersistentVolumeClaim."""
    for kind in ("requests", "limits"):
        found = at(spec, "resources", kind)
        yield from fractional(found, f"{path}.resources.{kind}", ("storage",))
