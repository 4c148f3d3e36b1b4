"""Indices stay where they are when endpoints come and go; only differences are written."""

import random
from dataclasses import replace

import pytest

from tiphys.proxy.layout import Client, Element, Forgotten, Key, Layout, arrange
from tiphys.proxy.plan import Backend, Frontend, Kind, Target

A, B, C, D = (Target(f"10.0.0.{n}", 80) for n in range(1, 5))
WEB = Frontend("tcp", "10.96.0.7", 80)
KEY: Key = ("tcp", "10.96.0.7", 80)


def backend(*targets: Target, kind: Kind = Kind.CLUSTER) -> Backend:
    return Backend(kind, "default/web:", targets, hairpin=tuple(t.address for t in targets))


def elements(layout: Layout) -> set[Element]:
    found = list(layout.elements())
    assert len(found) == len(set(found))
    return set(found)


@pytest.mark.parametrize(
    ("old", "wanted", "got"),
    [
        pytest.param([], [A, B], (A, B), id="new"),
        pytest.param([A, B, C], [B, C], (C, B), id="the-last-moves-into-the-hole"),
        pytest.param([A, B], [A, B, C], (A, B, C), id="a-new-one-comes-last"),
        pytest.param([A, B, C], [A, D, C], (A, D, C), id="a-new-one-fills-the-hole"),
        pytest.param([A, B], [], (), id="none-left"),
    ],
)
def test_arrange(old: list[Target], wanted: list[Target], got: tuple[Target, ...]) -> None:
    assert arrange(old, wanted) == got


def test_removing_an_endpoint_changes_only_its_index_and_the_count() -> None:
    layout = Layout()
    layout.load({WEB: backend(A, B, C)})
    difference = layout.change({WEB: backend(B, C)})
    assert set(difference.delete) == {
        Element("services", KEY, "service-3"),
        Element("endpoints", (*KEY, 0), ("10.0.0.1", 80)),
        Element("endpoints", (*KEY, 2), ("10.0.0.3", 80)),
        Element("hairpin", ("10.0.0.1", "10.0.0.1"), None),
    }
    assert set(difference.add) == {
        Element("services", KEY, "service-2"),
        Element("endpoints", (*KEY, 0), ("10.0.0.3", 80)),
    }


@pytest.mark.parametrize(
    ("wanted", "refused"),
    [
        pytest.param(backend(), "reject-packet", id="rejected"),
        pytest.param(replace(backend(), drop=True), "drop", id="dropped"),
    ],
)
def test_a_service_without_endpoints_is_refused(wanted: Backend, refused: str) -> None:
    layout = Layout()
    layout.load({WEB: wanted})
    assert elements(layout) == {
        Element("refused", KEY, refused),
        Element("cluster-addresses", ("10.96.0.7",), None),
    }


def test_a_local_policy_has_two_lists() -> None:
    layout = Layout()
    layout.load({WEB: replace(backend(A, kind=Kind.EXTERNAL), near=(A, B), local=True)})
    assert elements(layout) == {
        Element("services", KEY, "local-1"),
        Element("near-pods", KEY, "service-2"),
        Element("near-node", KEY, "service-masquerade-2"),
        Element("local-endpoints", (*KEY, 0), ("10.0.0.1", 80)),
        Element("endpoints", (*KEY, 0), ("10.0.0.1", 80)),
        Element("endpoints", (*KEY, 1), ("10.0.0.2", 80)),
        Element("hairpin", ("10.0.0.1", "10.0.0.1"), None),
    }


def test_affinity_and_source_ranges() -> None:
    layout = Layout()
    wanted = replace(
        backend(A, kind=Kind.LOAD_BALANCER),
        masquerade=True,
        sticky_seconds=60,
        sources=("10.0.0.0/8",),
    )
    layout.load({WEB: wanted})
    assert elements(layout) >= {
        Element("services", KEY, "service-masquerade-sticky-1"),
        Element("sticky", KEY, "learn-60"),
        Element("restricted", KEY, None),
        Element("allowed-sources", (*KEY, "10.0.0.0/8"), None),
    }
    assert layout.may_stay(Client("10.0.0.9", WEB, A, 60000, 5000))
    assert not layout.may_stay(Client("10.0.0.9", WEB, B, 60000, 5000))
    assert layout.change({WEB: replace(wanted, targets=(B,))}).forget == (Forgotten(WEB, A),)
    assert layout.change({WEB: None}).forget == (Forgotten(WEB, B),)


@pytest.mark.parametrize("seed", range(10))
def test_changes_lead_to_the_same_elements_as_a_load(seed: int) -> None:
    dice, layout = random.Random(seed), Layout()
    frontends = [Frontend("tcp", f"10.96.0.{n % 3}", n) for n in range(6)]
    held: dict[Frontend, Backend] = {}
    kernel: set[Element] = set()
    for _ in range(100):
        changed = {
            f: backend(*dice.sample([A, B, C, D], dice.randrange(5)))
            if dice.random() < 0.8
            else None
            for f in dice.sample(frontends, dice.randrange(1, 4))
        }
        difference = layout.change(changed)
        assert set(difference.delete) <= kernel
        kernel -= set(difference.delete)
        assert not set(difference.add) & kernel
        kernel |= set(difference.add)
        for frontend, new in changed.items():
            held.pop(frontend, None)
            if new is not None:
                held[frontend] = new
        fresh = Layout()
        fresh.load(held)
        assert kernel == elements(layout)
        assert {e for e in kernel if "endpoints" not in e.set_name} == {
            e for e in elements(fresh) if "endpoints" not in e.set_name
        }
