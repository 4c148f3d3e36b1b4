"""Where the data that several projects share lies; tests that need it skip where it is absent."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

SHARED: Final = Path(__file__).resolve().parents[2] / "shared"
UPSTREAM: Final = SHARED / "data" / "upstream-1.36"
CASES: Final = SHARED / "oracle" / "cases"

needs_shared = pytest.mark.skipif(not UPSTREAM.is_dir(), reason="../shared is not here")


def cases(pattern: str) -> Iterator[dict[str, Any]]:
    """Recorded cases of the real server; pattern as `writes/table-*`."""
    for path in sorted(CASES.glob(f"{pattern}.jsonl.gz")):
        with gzip.open(path, "rt") as lines:
            yield from (json.loads(line) for line in lines if line.strip())
