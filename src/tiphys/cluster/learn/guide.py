"""Where the pages of the guide are: in the wheel beside this file, in a checkout under docs."""

from pathlib import Path
from typing import Final

from tiphys.cluster.learn.page import Page, read

_HERE: Final = Path(__file__).resolve().parent


def directory() -> Path:
    installed = _HERE / "pages"
    return installed if installed.is_dir() else _HERE.parents[3] / "docs" / "learn"


def pages() -> list[Page]:
    """In the order in which they are read. Raises PageError, OSError."""
    return [read(path) for path in sorted(directory().glob("[0-9]*.md"))]
