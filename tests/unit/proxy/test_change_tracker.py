"""Only the frontends that differ are told, and what is told adds up to the whole plan."""

import random

import pytest

from support.proxy_lab import a_service, a_slice, an_endpoint
from tiphys.api.meta import Obj, ObjectKey, key_of
from tiphys.proxy.change_tracker import ChangeTracker
from tiphys.proxy.plan import Backend, Frontend, NodeView, plan

NODE = NodeView("n1", ("192.168.49.2",))


class World:
    def __init__(self) -> None:
        self.services: dict[ObjectKey, Obj] = {}
        self.slices: dict[ObjectKey, Obj] = {}
        self.tracker = ChangeTracker(NODE)
        self.told: dict[Frontend, Backend] = {}

    def service(self, key: ObjectKey, new: Obj | None) -> None:
        old = self.services.pop(key, None)
        if new is not None:
            self.services[key] = new
        self.tracker.service_changed(old, new)

    def slice(self, key: ObjectKey, new: Obj | None) -> None:
        old = self.slices.pop(key, None)
        if new is not None:
            self.slices[key] = new
        self.tracker.slice_changed(old, new)

    def take(self) -> set[Frontend]:
        changed = self.tracker.take(self.services)
        for frontend, backend in changed.items():
            self.told.pop(frontend, None)
            if backend is not None:
                self.told[frontend] = backend
        return set(changed)

    def wanted(self) -> dict[Frontend, Backend]:
        return dict(plan(self.services.values(), self.slices.values(), NODE).frontends)


def test_one_change_is_one_change() -> None:
    world = World()
    for number in range(3):
        service = a_service(f"s{number}", clusterIP=f"10.96.0.{number}")
        world.service(key_of(service), service)
    assert len(world.take()) == 3
    one = a_slice(an_endpoint("10.0.0.1"), name="s1")
    world.slice(key_of(one), one)
    assert world.take() == {Frontend("tcp", "10.96.0.1", 80)}
    world.slice(key_of(one), one)
    assert not world.take(), "nothing differs"


@pytest.mark.parametrize("seed", range(10))
def test_changes_add_up_to_the_plan(seed: int) -> None:
    """Also with external addresses that several Services claim, and slices without a Service."""
    dice, world = random.Random(seed), World()
    for _ in range(200):
        number = dice.randrange(5)
        key = ObjectKey("default", f"s{number}")
        if dice.random() < 0.4:
            shared = [f"203.0.113.{n}" for n in range(3) if dice.random() < 0.5]
            service = a_service(f"s{number}", clusterIP=f"10.96.0.{number}", externalIPs=shared)
            world.service(key, service if dice.random() < 0.8 else None)
        else:
            pods = [an_endpoint(f"10.0.{number}.{n}") for n in range(dice.randrange(3))]
            one = a_slice(*pods, name=f"s{number}")
            world.slice(key_of(one), one if dice.random() < 0.8 else None)
        if dice.random() < 0.5:
            world.take()
            assert world.told == world.wanted() == world.tracker.frontends()


def test_an_odd_object_takes_no_other_service_away() -> None:
    world = World()
    good = a_service("good")
    odd = a_service("odd", clusterIP="10.96.0.9", ports=[{"port": "eighty"}])
    world.service(key_of(good), good)
    world.service(key_of(odd), odd)
    assert world.take() == {Frontend("tcp", "10.96.0.7", 80)}
