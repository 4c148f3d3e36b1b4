"""What a command caused, told from the events of the components."""

from collections.abc import Iterable
from typing import Any, Final

LINES_MAX: Final = 12
MESSAGE_CHARACTERS_MAX: Final = 100


def tell(events: Iterable[dict[str, Any]], known: dict[str, int]) -> list[str]:
    """Lines `COMPONENT  OBJECT: MESSAGE`, in the order in which things happened.

    `known` maps the uid of each event that was there before the command to its count.
    """
    new = [e for e in events if _count(e) > known.get(e["metadata"]["uid"], 0)]
    new.sort(key=_order)
    rows = [(_component(e), f"{_object(e)}: {_message(e)}") for e in new]
    width = max((len(who) for who, _ in rows), default=0)
    lines = [f"{who.ljust(width)}  {what}" for who, what in rows]
    if len(lines) > LINES_MAX:
        more = len(lines) - LINES_MAX
        return [*lines[:LINES_MAX], f"... and {more} more: kubectl get events"]
    return lines


def counts(events: Iterable[dict[str, Any]]) -> dict[str, int]:
    """What `tell` needs to know of the time before."""
    return {e["metadata"]["uid"]: _count(e) for e in events}


def _count(event: dict[str, Any]) -> int:
    series = event.get("series") or {}
    return int(series.get("count") or event.get("count") or 1)


def _order(event: dict[str, Any]) -> tuple[str, int]:
    moment = event.get("lastTimestamp") or event.get("eventTime") or ""
    # Seconds alone do not tell what was first: events are written one after the other.
    return (str(moment)[:19], int(event["metadata"].get("resourceVersion") or 0))


def _component(event: dict[str, Any]) -> str:
    name = event.get("reportingComponent") or (event.get("source") or {}).get("component")
    return str(name or "somebody")


def _object(event: dict[str, Any]) -> str:
    regarding = event["involvedObject"]
    return f"{regarding.get('kind', '?')} {regarding.get('name', '?')}"


def _message(event: dict[str, Any]) -> str:
    text = " ".join(str(event.get("message") or event.get("reason") or "").split())
    if len(text) > MESSAGE_CHARACTERS_MAX:
        return text[: MESSAGE_CHARACTERS_MAX - 1] + "…"
    return text
