"""Log lines: constant messages, data as fields, one line each; secrets have a type that hides."""

import logging
from datetime import UTC, datetime
from typing import Any, TextIO

PROBLEMS = ("WARNING", "ERROR", "CRITICAL")  # Levels that need somebody.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class Secret(str):
    """Text that must not be shown: its repr is ***."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "***"


class LineFormatter(logging.Formatter):
    """`2026-01-01T00:00:00.000Z INFO scheduler pod bound pod=default/a node=n1`."""

    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, UTC)
        stamp = when.strftime("%Y-%m-%dT%H:%M:%S.") + f"{when.microsecond // 1000:03d}Z"
        name = record.name.removeprefix("tiphys.")
        fields = "".join(
            f" {key}={_shown(value)}" for key, value in vars(record).items() if key not in _STANDARD
        )
        line = f"{stamp} {record.levelname} {name} {record.getMessage()}{fields}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


def _shown(value: Any) -> str:
    text = repr(value) if isinstance(value, Secret) else str(value)
    return repr(text) if " " in text or "\n" in text or not text else text


def configure(stream: TextIO, *, level: int = logging.INFO) -> None:
    """Send every log line of this process to stream."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(LineFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
