"""What a test waits for: a condition on an object, or whatever a function says.

    "deployment/web", "Available"      the condition is True
    "pod/web-1", "phase=Running"       a field of the status
    "pod/web-1", "exists", "deleted"
    "job/x", lambda job: ...           a function of the object

Upstream: kubectl wait.
"""

from collections.abc import Callable
from typing import Any

from tiphys.api.meta import Obj, at, condition

Condition = str | Callable[[Obj], Any]
"""See the module."""


class WaitFailed(AssertionError):
    """It did not happen in time; the text tells what happened instead."""


def holds(obj: Obj | None, wanted: Condition) -> Any:
    """Something true when the object is as wanted; obj is None where there is none."""
    if wanted == "deleted":
        return obj is None
    if obj is None:
        return False
    if wanted == "exists":
        return obj
    if callable(wanted):
        return wanted(obj)
    name, separator, value = wanted.partition("=")
    if separator:
        return str(at(obj, "status", *name.split("."))) == value
    found = condition(obj, name)
    return found is not None and found.get("status") == "True" and _is_current(obj, found)


def _is_current(obj: Obj, found: Obj) -> bool:
    """Said of the object as it is, not of an earlier generation. Source: kubectl wait."""
    generation = at(obj, "metadata", "generation", default=0)
    seen = found.get("observedGeneration") or at(
        obj, "status", "observedGeneration", default=generation
    )
    return bool(seen >= generation)


def described(what: str | Callable[[], Any], wanted: Condition) -> str:
    """For people: what was waited for."""
    if callable(what):
        return getattr(what, "__name__", "the condition").replace("<lambda>", "the condition")
    return f"{what} to be {wanted if isinstance(wanted, str) else 'as wanted'}"
