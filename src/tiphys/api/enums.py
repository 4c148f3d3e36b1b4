"""The values of string types that upstream marks as enumerations, for OpenAPI.

They are what documents say; which values a field takes is a rule of its kind. Format of enums.txt:

    @@package                     what follows belongs to it
    Name: value|value|value       a Go type; sorted, as upstream shows them

Upstream: `+enum` in staging/src/k8s.io/api/*/types.go.
"""

from functools import cache
from importlib import resources
from typing import Final

_CORE: Final = "core.v1"  # Its types are used in the fields of other groups.


@cache  # noqa: B019,RUF100 - one table
def _table() -> dict[tuple[str, str], tuple[str, ...]]:
    """Read when first asked for: only documents need it."""
    text = resources.files("tiphys.api").joinpath("enums.txt").read_text("utf-8")
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    package = ""
    for line in text.splitlines():
        if line.startswith("@@"):
            package = line[2:]
        else:
            name, _, values = line.partition(": ")
            found[package, name] = tuple(values.split("|"))
    return found


def values_of(package: str, go_name: str) -> tuple[str, ...]:
    """What a string type of a package's field may be; empty for a type that is no enumeration."""
    return _table().get((package, go_name)) or _table().get((_CORE, go_name)) or ()
