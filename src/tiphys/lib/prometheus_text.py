"""Prometheus' text exposition format 0.0.4, written and read.

Source: prometheus.io/docs/instrumenting/exposition_formats.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal, NamedTuple

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
Kind = Literal["counter", "gauge", "histogram", "untyped"]
Labels = tuple[tuple[str, str], ...]


class Sample(NamedTuple):
    """`suffix` follows the family's name (`_bucket`, `_sum`, `_count` of a histogram)."""

    labels: Labels
    value: float
    timestamp_ms: int = 0  # 0 = none: the reader's own time counts.
    suffix: str = ""


class Family(NamedTuple):
    """A metric of one name. Families without samples are left out."""

    name: str
    kind: Kind
    help_text: str
    samples: Sequence[Sample]


def render(families: Iterable[Family]) -> bytes:
    lines: list[str] = []
    for family in families:
        if not family.samples:
            continue
        help_text = family.help_text.replace("\\", "\\\\").replace("\n", "\\n")
        lines.append(f"# HELP {family.name} {help_text}")
        lines.append(f"# TYPE {family.name} {family.kind}")
        lines += [_line(family.name, sample) for sample in family.samples]
    lines.append("")
    return "\n".join(lines).encode()


def _line(name: str, sample: Sample) -> str:
    shown = ",".join(f'{key}="{_escaped(value)}"' for key, value in sample.labels)
    labels = f"{{{shown}}}" if shown else ""
    at = f" {sample.timestamp_ms}" if sample.timestamp_ms else ""
    return f"{name}{sample.suffix}{labels} {number(sample.value)}{at}"


def number(value: float) -> str:
    """Whole numbers without a fraction, infinity as the format has it."""
    if value == float("inf"):
        return "+Inf"
    whole = int(value)
    return str(whole) if whole == value else repr(value)


def _escaped(text: str) -> str:
    if "\\" in text or '"' in text or "\n" in text:
        return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return text


class Line(NamedTuple):
    """One sample as it was read."""

    name: str
    labels: Mapping[str, str]
    value: float
    timestamp_ms: int


def parse(text: str) -> Iterator[Line]:
    """Every sample; comments and lines that are none are passed over."""
    for line in text.splitlines():
        if line and line[0] != "#" and (found := _parse_line(line)) is not None:
            yield found


def _parse_line(line: str) -> Line | None:
    labels: dict[str, str] = {}
    brace = line.find("{")
    try:
        if brace < 0:
            name, _, rest = line.partition(" ")
        else:
            name = line[:brace]
            end = _parse_labels(line, brace + 1, labels)
            rest = line[end:]
        value, *more = rest.split()
        return Line(name, labels, float(value), int(more[0]) if more else 0)
    except (ValueError, IndexError):
        return None


def _parse_labels(line: str, at: int, into: dict[str, str]) -> int:
    """Reads `a="b",c="d"}` from `at` on; where the line goes on. Raises ValueError, IndexError."""
    while line[at] != "}":
        equals = line.index("=", at)
        key = line[at:equals].strip(", ")
        end = equals + 2
        while line[end] != '"':
            end += 2 if line[end] == "\\" else 1
        value = line[equals + 2 : end]
        if "\\" in value:
            value = _unescaped(value)
        into[key] = value
        at = end + 1
        while line[at] in ", ":
            at += 1
    return at + 1


def _unescaped(text: str) -> str:
    pieces = text.split("\\\\")
    return "\\".join(p.replace('\\"', '"').replace("\\n", "\n") for p in pieces)
