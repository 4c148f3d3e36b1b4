"""Who is told of committed writes: a new subscriber gets the past, then what came meanwhile."""

from collections.abc import Sequence

from tiphys.storage.backend import Deliver, Event


class Subscription:
    """One watch of a backend. Events that come while the past is being read are held."""

    def __init__(self, prefix: str, deliver: Deliver, first_revision: int = 0) -> None:
        self.prefix = prefix
        self._first = first_revision
        self._deliver = deliver
        self._held: list[Sequence[Event]] | None = []

    def offer(self, events: Sequence[Event]) -> None:
        mine = [e for e in events if e.key.startswith(self.prefix) and e.revision >= self._first]
        if not mine:
            return
        if self._held is None:
            self._deliver(mine)
        else:
            self._held.append(mine)

    def go_live(self, past: Sequence[Event]) -> None:
        """The past has been read: deliver it, then what was held."""
        held, self._held = self._held or [], None
        for events in ([past] if past else []) + held:
            self._deliver(events)


class Subscriptions:
    """All watches of one backend."""

    def __init__(self) -> None:
        self._all: dict[int, Subscription] = {}
        self._next = 0

    def add(self, subscription: Subscription) -> int:
        self._next += 1
        self._all[self._next] = subscription
        return self._next

    def remove(self, number: int) -> None:
        self._all.pop(number, None)

    def offer(self, events: Sequence[Event]) -> None:
        for subscription in list(self._all.values()):
            subscription.offer(events)
