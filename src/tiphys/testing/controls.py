"""What a test may turn: the clock, faults, nodes, pods. Each acts in the cluster's own loop."""

from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any

from tiphys.api import labels as selectors
from tiphys.api.meta import Obj, ObjectKey, labels_of, name_of
from tiphys.testing.control_plane import ControlPlane
from tiphys.testing.faults import ANY, EXPIRED_EVENT, Fault, Who
from tiphys.testing.node import Node
from tiphys.testing.rules import parse
from tiphys.testing.spans import Span, seconds_of

Call = Callable[[Coroutine[Any, Any, Any]], Any]
"""Runs a coroutine in the cluster's loop; returns its result."""


class ClockControl:
    """The cluster's time."""

    def __init__(self, plane: ControlPlane, call: Call) -> None:
        self._plane = plane
        self._call = call

    def now(self) -> datetime:
        return self._plane.clock.now()

    def advance(self, span: Span) -> None:
        """Let time pass at once: everything due happens, in order. Returns when it has.

        Where clients outside watch, time waits for them after each change, for 20 ms of silence.
        """
        self._call(self._advance(seconds_of(span)))

    async def _advance(self, seconds: float) -> None:
        await self._plane.loop.settle()
        await self._plane.loop.advance(seconds)
        await self._plane.loop.settle()

    def freeze(self) -> None:
        """Time stands until it is advanced, or something is waited for."""
        self._call(_called(self._plane.loop.freeze))

    def flow(self) -> None:
        """Time passes again."""
        self._call(_called(self._plane.loop.flow))


class FaultControl:
    """Faults for requests of clients; each is a Fault, which a `with` block ends."""

    def __init__(self, plane: ControlPlane, call: Call) -> None:
        self._plane = plane
        self._call = call

    def add(self, fault: Fault) -> Fault:
        """The general form of the methods below."""
        fault.remove = self.remove
        self._call(_called(lambda: self._plane.faults.active.append(fault)))
        return fault

    def remove(self, fault: Fault) -> None:
        """A fault that is no more is left alone."""
        active = self._plane.faults.active
        self._call(_called(lambda: active.remove(fault) if fault in active else None))

    def clear(self) -> None:
        self._call(_called(self._plane.faults.active.clear))

    def fail(
        self,
        code: int,
        resource: str = ANY,
        verb: str = ANY,
        *,
        namespace: str = ANY,
        name: str = ANY,
        times: int | None = None,
        chance: float = 1.0,
        retry_after: Span = 1.0,
        who: Who = "clients",
    ) -> Fault:
        """Answer with this status code (409, 410, 429, 500, 503, 504 ...) and do nothing."""
        seconds = seconds_of(retry_after)
        fault = Fault("error", verb, resource, namespace, name, times, chance, code, seconds, who)
        return self.add(fault)

    def conflict(
        self, resource: str, verb: str = "update", *, times: int | None = 1, name: str = ANY
    ) -> Fault:
        """Somebody else was always faster: 409."""
        return self.fail(409, resource, verb, times=times, name=name)

    def delay(
        self,
        span: Span,
        resource: str = ANY,
        verb: str = ANY,
        *,
        times: int | None = None,
        who: Who = "clients",
    ) -> Fault:
        """Serve, but this much of the cluster's time later."""
        fault = Fault("delay", verb, resource, times=times, seconds=seconds_of(span), who=who)
        return self.add(fault)

    def drop(
        self,
        resource: str = ANY,
        verb: str = ANY,
        *,
        times: int | None = 1,
        after: bool = False,
        who: Who = "clients",
    ) -> Fault:
        """Close the connection without an answer; after: the work was done, its answer is lost."""
        return self.add(Fault("lose" if after else "drop", verb, resource, times=times, who=who))

    def expire_watches(self, resource: str = ANY) -> int:
        """End clients' watches with 410 Gone, so that they must list again; how many there were."""
        return self._cut(resource, EXPIRED_EVENT)

    def drop_watches(self, resource: str = ANY) -> int:
        """Break the connections of clients' watches; how many there were."""
        return self._cut(resource, b"")

    def restart_api_server(self, down: Span = 0.0) -> None:
        """The API server dies and comes back after a time; returns when it serves again."""
        seconds = seconds_of(down)

        async def restart() -> None:
            plane = self._plane
            is_frozen = plane.loop.frozen_at is not None
            if is_frozen:
                plane.loop.flow()  # Nobody else could let the time pass.
            try:
                await plane.restart(seconds)
            finally:
                if is_frozen:
                    plane.loop.freeze()

        self._call(restart())

    def _cut(self, resource: str, last_words: bytes) -> int:
        cut = self._plane.faults.cut_watches
        count: int = self._call(_called(lambda: cut(resource, last_words)))
        return count


class NodeControl:
    """Simulated machines."""

    def __init__(self, plane: ControlPlane, call: Call) -> None:
        self._plane = plane
        self._call = call

    def add(
        self,
        name: str,
        *,
        labels: dict[str, str] | None = None,
        taints: list[Obj] | None = None,
        capacity: dict[str, str] | None = None,
    ) -> None:
        """A machine joins; returns when its node is ready. capacity: what differs from 32 CPUs,
        256Gi of memory and 110 pods.
        """
        node = Node(name, labels or {}, taints or [], capacity or {})

        async def join() -> None:
            self._plane.add_node(node)
            await self._plane.loop.settle()

        self._call(join())

    def power_off(self, name: str) -> None:
        """The machine falls silent: its lease runs out, its pods are evicted in time."""
        self._switch(name, is_down=True)

    def power_on(self, name: str) -> None:
        """The machine is back; its kubelet reports within ten seconds of the cluster's time."""
        self._switch(name, is_down=False)

    def _switch(self, name: str, *, is_down: bool) -> None:
        node = self._plane.nodes.get(name)
        if node is None:
            known = ", ".join(self._plane.nodes) or "none"
            raise LookupError(f'no simulated node "{name}"; there are: {known}')
        node.is_down = is_down
        self._call(_called(self._plane.kubelets.look_again))


class PodControl:
    """What simulated pods do."""

    def __init__(self, plane: ControlPlane, call: Call) -> None:
        self._plane = plane
        self._call = call

    def rule(self, text: str, *, name: str = "", labels: str = "", namespace: str = "") -> None:
        """From now on the pods of this name, label selector and namespace follow the rule.

        Present and future ones; of several rules for a pod the last counts, before its annotation.
        Raises RuleError, ValueError (selector).
        """
        rule = parse(text)
        selector = selectors.parse(labels)

        def matches(pod: Obj) -> bool:
            where = pod["metadata"].get("namespace", "")
            return (
                name in ("", name_of(pod))
                and namespace in ("", where)
                and selector.matches(labels_of(pod))
            )

        self._call(_called(lambda: self._plane.kubelets.choose(matches, rule)))

    def log(self, name: str, text: str, *, namespace: str = "default") -> None:
        """What the pod's containers have written so far; counts before its annotation."""
        key = ObjectKey(namespace, name)
        self._call(_called(lambda: self._plane.logs.texts.update({key: text})))


async def _called(work: Callable[[], Any]) -> Any:
    return work()
