"""Files of one volume that hide each other: the later one wins, or the pod does not start.

Upstream: pkg/api/pod/warnings.go (warningsForOverlappingVirtualPaths).
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from tiphys.api.meta import Obj


class _File(NamedTuple):
    path: str
    source: str  # Which source of a projected volume it comes from; "" in others.

    def __str__(self) -> str:
        return f'"{self.path}" ({self.source})' if self.source else f'"{self.path}"'


# field of a volume -> (word in the text, the field that names the object)
_KINDS: Final = (
    ("configMap", "ConfigMap", "name"),
    ("secret", "Secret", "secretName"),
    ("downwardAPI", "DownwardAPI", ""),
)


def overlapping_paths(volume: Obj) -> Iterator[str]:
    """Of one volume of a pod."""
    name = volume.get("name", "")
    for field, word, naming in _KINDS:
        source = volume.get(field) or {}
        title = f'{word} "{source.get(naming, "")}"' if naming else word
        seen: list[_File] = []
        for item in source.get("items") or ():
            for text in _clashes(_File(item.get("path", ""), ""), seen):
                yield f'volume "{name}" ({title}): overlapping paths: {text}'
    seen = []
    for source in (volume.get("projected") or {}).get("sources") or ():
        if not source:
            yield f'volume "{name}" (Projected) has no sources provided'
        for file in _projected(source):
            for text in _clashes(file, seen):
                yield f'volume "{name}" (Projected): overlapping paths: {text}'


def _projected(source: Obj) -> Iterator[_File]:
    for field, word, naming in _KINDS:
        found = source.get(field) or {}
        title = f'{word} "{found.get("name", "")}"' if naming else word
        for item in found.get("items") or ():
            yield _File(item.get("path", ""), title)
    if "serviceAccountToken" in source:
        yield _File(source["serviceAccountToken"].get("path", ""), "ServiceAccountToken")


def _clashes(file: _File, seen: list[_File]) -> list[str]:
    """The files before it that have its path, lie below it or above it; then it is seen too."""
    file = file._replace(path=file.path.rstrip("/"))
    here = f"{file.path}/"
    found = [
        f"{file} with {other}"
        for other in seen
        if file.path and other.path
        if here.startswith(f"{other.path}/") or f"{other.path}/".startswith(here)
    ]
    seen.append(file)
    return found
