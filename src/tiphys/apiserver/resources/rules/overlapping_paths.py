"""Files of one volume that hide each other: the later one wins, or the pod does not start.

Upstream: pkg/api/pod/warnings.go (warningsForOverlappingVirtualPaths).
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import chain
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
        files = [_file(item, "") for item in source.get("items") or ()]
        seen = _Seen(files)
        for file in files:
            for other in seen.clashes(file):
                yield f'volume "{name}" ({title}): overlapping paths: {file} with {other}'
    sources = (volume.get("projected") or {}).get("sources") or ()
    projected = [list(_projected(source)) for source in sources]
    seen = _Seen(chain.from_iterable(projected))
    for source, files in zip(sources, projected, strict=True):
        if not source:
            yield f'volume "{name}" (Projected) has no sources provided'
        for file in files:
            for other in seen.clashes(file):
                yield f'volume "{name}" (Projected): overlapping paths: {file} with {other}'


def _projected(source: Obj) -> Iterator[_File]:
    for field, word, naming in _KINDS:
        found = source.get(field) or {}
        title = f'{word} "{found.get("name", "")}"' if naming else word
        for item in found.get("items") or ():
            yield _file(item, title)
    if "serviceAccountToken" in source:
        yield _file(source["serviceAccountToken"], "ServiceAccountToken")


def _file(item: Obj, source: str) -> _File:
    return _File(item.get("path", "").rstrip("/"), source)


class _Seen:
    """Files of a volume that were looked at, by their places among all that it will have.

    No file is compared with another that it has nothing to do with: there may be many thousands.
    """

    def __init__(self, files: Iterable[_File]) -> None:
        self._above = _next_above(f"{file.path}/" for file in files if file.path)
        # In the order of their coming: the number of each is how many came before it.
        self._files: list[_File] = []
        self._here: defaultdict[str, list[int]] = defaultdict(list)
        self._here_or_below: defaultdict[str, list[int]] = defaultdict(list)

    def clashes(self, file: _File) -> list[_File]:
        """The files before it that have its path, lie below it or above it; then it is seen too."""
        if not file.path:
            return []
        number = len(self._files)
        self._files.append(file)
        here, *above = self._line(f"{file.path}/")
        found = [*self._here_or_below[here], *(n for place in above for n in self._here[place])]
        self._here[here].append(number)
        for place in (here, *above):
            self._here_or_below[place].append(number)
        return [self._files[other] for other in sorted(found)]

    def _line(self, place: str) -> Iterator[str]:
        """A path and those that lie above it."""
        while place:
            yield place
            place = self._above.get(place, "")


def _next_above(places: Iterable[str]) -> dict[str, str]:
    """Of each path that ends with a slash the longest of the others that lies above it."""
    found: dict[str, str] = {}
    line: list[str] = []  # Each lies above the next one.
    for place in sorted(set(places)):
        while line and not place.startswith(line[-1]):
            line.pop()
        if line:
            found[place] = line[-1]
        line.append(place)
    return found
