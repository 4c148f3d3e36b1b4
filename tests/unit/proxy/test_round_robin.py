"""Turns are exact; a client with affinity keeps its endpoint for as long as it may."""

from dataclasses import replace

from tiphys.proxy.plan import Backend, Frontend, Kind, Target
from tiphys.proxy.round_robin import CLIENTS_MAX, RoundRobin

A, B, C = (Target(f"10.0.0.{n}", 80) for n in range(1, 4))
WEB = Frontend("tcp", "10.96.0.7", 80)
PLAIN = Backend(Kind.CLUSTER, "default/web:", (A, B, C))
STICKY = replace(PLAIN, sticky_seconds=10)


def picks(turns: RoundRobin, backend: Backend, count: int, **how: float) -> list[Target | None]:
    now = how.get("now", 0.0)
    return [turns.pick(WEB, backend, "10.1.0.1", near=False, now=now) for _ in range(count)]


def test_each_has_its_turn() -> None:
    turns = RoundRobin()
    assert picks(turns, PLAIN, 7) == [A, B, C, A, B, C, A]
    assert picks(turns, replace(PLAIN, targets=(A, B)), 4) == [B, A, B, A]
    assert picks(turns, replace(PLAIN, targets=()), 1) == [None]


def test_those_near_have_turns_of_their_own() -> None:
    turns, local = RoundRobin(), replace(PLAIN, targets=(A,), near=(B, C))
    found = [turns.pick(WEB, local, "10.1.0.1", near=near, now=0) for near in (True, False) * 3]
    assert found == [B, A, C, A, B, A]


def test_a_client_stays_until_its_time_is_over() -> None:
    turns = RoundRobin()
    assert picks(turns, STICKY, 3, now=0.0) == [A, A, A]
    assert turns.pick(WEB, STICKY, "10.1.0.2", near=False, now=0) == B
    assert picks(turns, STICKY, 1, now=9.0) == [A]
    assert picks(turns, STICKY, 1, now=18.0) == [A], "counted from its last connection"
    assert picks(turns, STICKY, 2, now=28.0) == [C, C]


def test_a_client_leaves_an_endpoint_that_is_gone_or_does_not_answer() -> None:
    turns = RoundRobin()
    assert picks(turns, STICKY, 1) == [A]
    assert picks(turns, replace(STICKY, targets=(B, C)), 2) == [C, C]
    turns.leave(WEB, "10.1.0.1")
    assert picks(turns, replace(STICKY, targets=(B, C)), 2) == [B, B]


def test_clients_are_not_remembered_without_bound() -> None:
    turns = RoundRobin()
    for number in range(CLIENTS_MAX + 1):
        turns.pick(WEB, STICKY, str(number), near=False, now=0)
    first = turns.pick(WEB, STICKY, "0", near=False, now=0)
    second = turns.pick(WEB, STICKY, str(CLIENTS_MAX), near=False, now=0)
    assert second == (A, B, C)[CLIENTS_MAX % 3], "the last is remembered"
    assert first == (A, B, C)[(CLIENTS_MAX + 1) % 3], "the first had to go: it has a new turn"
