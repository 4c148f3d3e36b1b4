"""Whether and when a container is started again.

Upstream: pkg/kubelet/container/helpers.go (ShouldContainerBeRestarted), api pod util
(ContainerShouldRestart), kuberuntime_manager.go (doBackOff), client-go flowcontrol/backoff.go.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final

from tiphys.api.meta import Obj, at
from tiphys.kubelet.pod_spec import is_sidecar, restart_policy
from tiphys.kubelet.runtime_state import PodRuntime

BACK_OFF_INITIAL_SECONDS: Final = 10.0  # kubelet.go initialCrashLoopBackOff
BACK_OFF_MAX_SECONDS: Final = 300.0  # kubelet.go MaxCrashLoopBackOff
BACK_OFF_KEYS_MAX: Final = 10_000  # 110 pods with tens of containers each are far below.


def restarts_after(pod: Obj, container: Obj, exit_code: int) -> bool:
    """Whether a container that ended with exit_code is started again.

    Rules come first, then the container's own policy, then the pod's (KEP-5307).
    """
    for rule in container.get("restartPolicyRules") or []:
        exit_codes = rule.get("exitCodes") or {}
        listed = exit_code in (exit_codes.get("values") or [])
        if listed == (exit_codes.get("operator") == "In"):
            return str(rule.get("action", "")).startswith("Restart")
    policy = container.get("restartPolicy") or restart_policy(pod)
    if policy == "OnFailure":
        return exit_code != 0
    return bool(policy == "Always")


def should_start(pod: Obj, container: Obj, runtime: PodRuntime) -> bool:
    """Whether the container is to be started now or after its back-off."""
    if at(pod, "metadata", "deletionTimestamp"):
        return False
    newest = runtime.newest(container["name"])
    if newest is None or newest.state == "unknown":
        return True
    if newest.state == "running":
        return False
    if newest.state == "created":
        # Made but never started: a start failed, or the kubelet died between the two calls.
        return True
    return restarts_after(pod, container, newest.exit_code)


def init_container_restarts(pod: Obj, container: Obj, exit_code: int) -> bool:
    """A failed init container runs again unless pods like this one are never restarted."""
    if is_sidecar(container):
        return True
    if container.get("restartPolicy") or container.get("restartPolicyRules"):
        return restarts_after(pod, container, exit_code)
    return exit_code != 0 and restart_policy(pod) != "Never"


@dataclass(slots=True)
class _Entry:
    seconds: float
    since: float  # Wall clock seconds of the event that made it.


class CrashBackOff:
    """How long each container waits after its last end; times are wall clock seconds."""

    def __init__(
        self,
        initial_seconds: float = BACK_OFF_INITIAL_SECONDS,
        max_seconds: float = BACK_OFF_MAX_SECONDS,
    ) -> None:
        self._initial = initial_seconds
        self._max = max_seconds
        self._entries: dict[Hashable, _Entry] = {}

    def wait_seconds(self, key: Hashable, event_at: float, now: float) -> float:
        """What is left to wait after the event (a container's end); 0 when it may start now."""
        entry = self._entries.get(key)
        if entry is None or self._expired(entry, event_at):
            return 0.0
        return max(0.0, event_at + entry.seconds - now)

    def current_seconds(self, key: Hashable) -> float:
        entry = self._entries.get(key)
        return entry.seconds if entry is not None else 0.0

    def since(self, key: Hashable) -> float:
        """When the event was that began the key's present pause."""
        entry = self._entries.get(key)
        return entry.since if entry is not None else 0.0

    def next(self, key: Hashable, event_at: float) -> None:
        """Count one more start after the event: the pause doubles, or begins anew."""
        entry = self._entries.pop(key, None)
        if entry is None or self._expired(entry, event_at):
            self._entries[key] = _Entry(self._initial, event_at)
        else:
            self._entries[key] = _Entry(min(entry.seconds * 2, self._max), event_at)
        if len(self._entries) > BACK_OFF_KEYS_MAX:
            self._entries.pop(next(iter(self._entries)))

    def forget(self, belongs: Hashable) -> None:
        """Drop every key that begins with `belongs` (a pod's uid)."""
        for key in [k for k in self._entries if isinstance(k, tuple) and k[0] == belongs]:
            del self._entries[key]

    def _expired(self, entry: _Entry, event_at: float) -> bool:
        # A container that ran for twice the longest pause begins anew.
        return event_at - entry.since > 2 * self._max


def shown_seconds(seconds: float) -> str:
    """A Go duration: `10s`, `1m20s`, `5m0s`."""
    whole = int(seconds)
    minutes, rest = divmod(whole, 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
