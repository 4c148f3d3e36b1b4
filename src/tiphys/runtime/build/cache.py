"""What a step made before: a key for all that decides about it, a file for what it made.

Source: docs.docker.com/build/cache/invalidation (a step is known when its parent, its text and the
files it copies are the same; times of files do not count).
"""

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from tiphys.runtime.images.stored_image import Layer

FORMAT: Final = 1  # Part of every key: raised when a step of the same text gives other layers.
STEPS_MAX: Final = 5000  # Records kept; the oldest go first.


@dataclass(frozen=True)
class Made:
    """When a step was done, and its layer unless it wrote no files."""

    created: str
    layer: Layer | None = None


def key(parents: Sequence[str], text: str, inputs: Mapping[str, Any]) -> str:
    """parents: diff ids of the layers below; inputs: what else the step depends on."""
    document = json.dumps([FORMAT, list(parents), text, inputs], sort_keys=True)
    return hashlib.sha256(document.encode("utf-8", "surrogateescape")).hexdigest()


class StepCache:
    """One file per step in a directory."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        os.makedirs(directory, mode=0o700, exist_ok=True)

    def find(self, step: str) -> Made | None:
        path = os.path.join(self._directory, step)
        try:
            with open(path, "rb") as file:
                row = json.load(file)
            made = Made(row["created"], Layer(**row["layer"]) if row["layer"] else None)
        except (OSError, ValueError, TypeError, KeyError):
            return None
        with contextlib.suppress(OSError):
            os.utime(path)  # It was of use: it stays longer.
        return made

    def save(self, step: str, made: Made) -> None:
        with tempfile.NamedTemporaryFile("w", dir=self._directory, delete=False) as file:
            json.dump(asdict(made), file)
        os.replace(file.name, os.path.join(self._directory, step))

    def trim(self, kept_max: int = STEPS_MAX) -> None:
        """Forget the steps that were longest of no use."""
        paths = [os.path.join(self._directory, name) for name in os.listdir(self._directory)]
        for path in sorted(paths, key=os.path.getmtime)[: max(0, len(paths) - kept_max)]:
            os.unlink(path)
