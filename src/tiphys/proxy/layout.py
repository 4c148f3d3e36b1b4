"""Frontends as elements of kernel sets and maps, with as few changes as possible. Pure.

    services            protocol . address . port          -> goto a chain below
    near-pods           the same, for packets of pods where a Local policy is for those outside
    near-node           the same, for packets of the node itself
    endpoints           protocol . address . port . index  -> address . port
    local-endpoints     the same, where near packets need all the others
    sticky              protocol . address . port          -> goto learn-SECONDS
    refused             protocol . address . port          -> reject or drop
    restricted          protocol . address . port
    allowed-sources     protocol . address . port . network
    hairpin             endpoint . endpoint
    cluster-addresses   address

    chains              service[-masquerade][-sticky]-N, local[-sticky]-N

N is the number of endpoints; the chain chooses index = random modulo N. When an endpoint goes, the
last index moves into its place, so that the others keep theirs.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from tiphys.proxy.plan import Backend, Frontend, Kind, Target

Key = tuple[str | int, ...]
Value = tuple[str | int, ...] | str | None  # a concatenation, a verdict, or nothing (a set)
DROP: Final = "drop"  # Every other verdict is the name of a chain to go to.
REJECT_CHAIN: Final = "reject-packet"
# Sets whose elements several frontends may share.
SHARED: Final = frozenset({"hairpin", "cluster-addresses"})


class Element(NamedTuple):
    set_name: str
    key: Key
    value: Value


class Forgotten(NamedTuple):
    """Clients that stayed with a target of a frontend must choose anew."""

    frontend: Frontend
    target: Target


class Client(NamedTuple):
    """Who stays with a target, for how long after its last connection, and what is left of it."""

    address: str
    frontend: Frontend
    target: Target
    timeout_ms: int
    left_ms: int


@dataclass(frozen=True, slots=True)
class Changes:
    """Deletions come first: a changed element is deleted and added in one transaction."""

    delete: tuple[Element, ...]
    add: tuple[Element, ...]
    forget: tuple[Forgotten, ...] = ()


@dataclass(frozen=True, slots=True)
class Piece:
    """One frontend: targets and near targets by index, and all elements."""

    targets: tuple[Target, ...]
    near: tuple[Target, ...]
    sticky: bool
    elements: Mapping[tuple[str, Key], Value]


EMPTY: Final = Piece((), (), False, {})


class Layout:
    """What a table holds."""

    def __init__(self) -> None:
        self._pieces: dict[Frontend, Piece] = {}
        self._shared: Counter[tuple[str, Key]] = Counter()

    def change(self, frontends: Mapping[Frontend, Backend | None]) -> Changes:
        """Take new backends of some frontends (None: gone); what differs then."""
        delete: list[Element] = []
        add: list[Element] = []
        forget: list[Forgotten] = []
        for frontend, backend in frontends.items():
            old = self._pieces.pop(frontend, EMPTY)
            new = EMPTY if backend is None else piece(frontend, backend, old)
            if backend is not None:
                self._pieces[frontend] = new
            delete += self._gone(old, new)
            add += self._come(old, new)
            if old.sticky:
                gone = {*old.targets, *old.near} - {*new.targets, *new.near}
                forget += [Forgotten(frontend, target) for target in sorted(gone)]
        return Changes(*_only_differences(delete, add), tuple(forget))

    def load(self, frontends: Mapping[Frontend, Backend]) -> None:
        """Hold these and nothing else."""
        self._pieces = {f: piece(f, backend) for f, backend in frontends.items()}
        self._shared = Counter(
            key for one in self._pieces.values() for key in one.elements if key[0] in SHARED
        )

    def elements(self) -> Iterator[Element]:
        """All of them, shared ones once."""
        for one in self._pieces.values():
            for (name, key), value in one.elements.items():
                if name not in SHARED:
                    yield Element(name, key, value)
        for name, key in self._shared:
            yield Element(name, key, None)

    def may_stay(self, client: Client) -> bool:
        """Whether a client's endpoint is still one of its frontend, which still has affinity."""
        found = self._pieces.get(client.frontend, EMPTY)
        return found.sticky and client.target in (*found.targets, *found.near)

    def _gone(self, old: Piece, new: Piece) -> Iterator[Element]:
        for (name, key), value in old.elements.items():
            if name in SHARED:
                if (name, key) not in new.elements:
                    self._shared[(name, key)] -= 1
                    if not self._shared[(name, key)]:
                        del self._shared[(name, key)]
                        yield Element(name, key, None)
            elif (name, key) not in new.elements or new.elements[(name, key)] != value:
                yield Element(name, key, value)

    def _come(self, old: Piece, new: Piece) -> Iterator[Element]:
        for (name, key), value in new.elements.items():
            if name in SHARED:
                if (name, key) not in old.elements:
                    self._shared[(name, key)] += 1
                    if self._shared[(name, key)] == 1:
                        yield Element(name, key, None)
            elif (name, key) not in old.elements or old.elements[(name, key)] != value:
                yield Element(name, key, value)


def _only_differences(
    delete: Sequence[Element], add: Sequence[Element]
) -> tuple[tuple[Element, ...], tuple[Element, ...]]:
    """Without what one frontend lets go of and another takes up in the same change."""
    both = set(delete) & set(add) if delete and add else set()
    if not both:
        return tuple(delete), tuple(add)
    return tuple(e for e in delete if e not in both), tuple(e for e in add if e not in both)


def arrange(old: Sequence[Target], wanted: Iterable[Target]) -> tuple[Target, ...]:
    """wanted in an order that keeps as many indices of old as possible."""
    left = list(dict.fromkeys(wanted))
    if not old:
        return tuple(left)
    slots: list[Target | None] = [None] * len(left)
    for index, target in enumerate(old[: len(left)]):
        if target in left:
            slots[index] = target
    placed = {t for t in slots if t is not None}
    rest = iter([t for t in left if t not in placed])
    return tuple(slot if slot is not None else next(rest) for slot in slots)


def piece(frontend: Frontend, backend: Backend, old: Piece = EMPTY) -> Piece:
    """The elements that one frontend needs."""
    key: Key = tuple(frontend)
    targets = arrange(old.targets, backend.targets)
    near = arrange(old.near, backend.near or ())
    elements: dict[tuple[str, Key], Value] = {}
    if backend.kind is Kind.CLUSTER:
        elements[("cluster-addresses", (frontend.address,))] = None
    if not targets:
        elements[("refused", key)] = DROP if backend.drop else REJECT_CHAIN
    elif near:
        elements[("services", key)] = chain_name("local", len(targets), backend)
        elements |= _indexed("local-endpoints", key, targets)
    else:
        elements[("services", key)] = chain_name("service", len(targets), backend)
        elements |= _indexed("endpoints", key, targets)
    if near:
        elements |= _near(key, near, backend)
    for address in backend.hairpin:
        elements[("hairpin", (address, address))] = None
    if backend.sources:
        elements[("restricted", key)] = None
        elements |= {("allowed-sources", (*key, network)): None for network in backend.sources}
    if backend.sticky_seconds and (targets or near):
        elements[("sticky", key)] = f"learn-{backend.sticky_seconds}"
    return Piece(targets, near, bool(backend.sticky_seconds), elements)


def _near(key: Key, near: Sequence[Target], backend: Backend) -> dict[tuple[str, Key], Value]:
    masqueraded = chain_name("service-masquerade", len(near), backend)
    return {
        ("near-pods", key): chain_name("service", len(near), backend),
        ("near-node", key): masqueraded,
        **_indexed("endpoints", key, near),
    }


def _indexed(name: str, key: Key, targets: Sequence[Target]) -> dict[tuple[str, Key], Value]:
    return {(name, (*key, index)): tuple(target) for index, target in enumerate(targets)}


def chain_name(kind: str, count: int, backend: Backend) -> str:
    masquerade = "-masquerade" if backend.masquerade and kind == "service" else ""
    return f"{kind}{masquerade}{'-sticky' if backend.sticky_seconds else ''}-{count}"
