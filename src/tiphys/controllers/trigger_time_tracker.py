"""Since when a Service's endpoints are out of date, for those who measure how fast they follow.

A change's time is that of the first pod whose readiness changed since the last look, or the making
of the Service. Upstream: k8s.io/endpointslice util trigger_time_tracker.go.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tiphys.api.meta import Obj, ObjectKey, at, condition, name_of


@dataclass(frozen=True, slots=True)
class _Seen:
    service: str = ""
    pods: dict[str, str] = field(default_factory=dict)  # name -> time of its Ready condition


class TriggerTimes:
    """What was seen at each Service's last sync; as many entries as there are Services."""

    def __init__(self) -> None:
        self._seen: dict[ObjectKey, _Seen] = {}

    def changed(self, key: ObjectKey, service: Obj, selected: Sequence[Obj]) -> str:
        """The earliest change since the last call (RFC 3339), "" when there was none."""
        before = self._seen.get(key, _Seen())
        created = str(at(service, "metadata", "creationTimestamp", default=""))
        times = {
            name_of(pod): moment
            for pod in selected
            if (moment := str(at(condition(pod, "Ready"), "lastTransitionTime") or ""))
        }
        self._seen[key] = _Seen(created, times)
        news = [t for name, t in times.items() if t > before.pods.get(name, "")]
        if created > before.service:
            news.append(created)
        return min(news, default="")

    def forget(self, key: ObjectKey) -> None:
        self._seen.pop(key, None)
