"""Writes docs/errors.md from the table of errors."""

from pathlib import Path

from tiphys.cli import reasons

if __name__ == "__main__":
    Path("docs/errors.md").write_text(reasons.document())
