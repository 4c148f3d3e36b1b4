"""Objects and what all of them share. An object is its JSON form, a dict with the wire's names.

One form everywhere (docs/adr/0001): nothing is converted on the way from the store to a
controller. Objects from a cache are never changed in place; build new ones.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

Obj = dict[str, Any]
"""An API object or a part of one, in JSON form."""


class GroupVersionResource(NamedTuple):
    group: str  # "" is the core group.
    version: str
    resource: str  # plural, lower case

    @property
    def path(self) -> str:
        """`/api/v1` or `/apis/apps/v1`."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"


class GroupVersionKind(NamedTuple):
    group: str
    version: str
    kind: str

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


class ObjectKey(NamedTuple):
    namespace: str  # "" for cluster-scoped objects.
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


def metadata(obj: Mapping[str, Any]) -> Obj:
    found: Obj = obj.get("metadata") or {}
    return found


def name_of(obj: Mapping[str, Any]) -> str:
    return str(metadata(obj).get("name", ""))


def namespace_of(obj: Mapping[str, Any]) -> str:
    return str(metadata(obj).get("namespace", ""))


def uid_of(obj: Mapping[str, Any]) -> str:
    return str(metadata(obj).get("uid", ""))


def key_of(obj: Mapping[str, Any]) -> ObjectKey:
    return ObjectKey(namespace_of(obj), name_of(obj))


def labels_of(obj: Mapping[str, Any]) -> dict[str, str]:
    return metadata(obj).get("labels") or {}


def annotations_of(obj: Mapping[str, Any]) -> dict[str, str]:
    return metadata(obj).get("annotations") or {}


def is_terminating(obj: Mapping[str, Any]) -> bool:
    return bool(metadata(obj).get("deletionTimestamp"))


def at(obj: Any, *path: str | int, default: Any = None) -> Any:
    """What is at a path of keys and indices, or default where any step is missing or null."""
    for step in path:
        if type(obj) is dict:  # Nearly always, and much quicker to tell than a Mapping.
            obj = obj.get(step)
        elif isinstance(step, int):
            if not isinstance(obj, list) or not -len(obj) <= step < len(obj):
                return default
            obj = obj[step]
        else:
            if not isinstance(obj, Mapping):
                return default
            obj = obj.get(step)
        if obj is None:
            return default
    return obj


def condition(obj: Mapping[str, Any], kind: str) -> Obj | None:
    """The status condition of a type."""
    found: Sequence[Obj] = at(obj, "status", "conditions", default=[])
    return next((c for c in found if c.get("type") == kind), None)


def controller_of(obj: Mapping[str, Any]) -> Obj | None:
    """The owner reference marked as controller."""
    owners: Sequence[Obj] = metadata(obj).get("ownerReferences") or []
    return next((o for o in owners if o.get("controller")), None)


def rfc3339(moment: datetime) -> str:
    """metav1.Time on the wire: whole seconds, UTC."""
    return f"{moment.astimezone(UTC).isoformat(timespec='seconds')[:19]}Z"


def rfc3339_micro(moment: datetime) -> str:
    """metav1.MicroTime on the wire: six digits, UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_time(text: str) -> datetime:
    """A metav1.Time or MicroTime. Raises ValueError."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC)
