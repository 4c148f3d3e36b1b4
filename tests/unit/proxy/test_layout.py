"""Indices stay where they are when endpoints come and go; only differences are written."""

import pytest

from tiphys.proxy.layout import Element, Layout, arrange, changes, lay_out
from tiphys.proxy.plan import Backend, Frontend, Kind, Plan, Target

A, B, C, D = (Target(f"10.0.0.{n}", 80) for n in range(1, 5))
WEB = Frontend(Kind.CLUSTER, "tcp", "10.96.0.7", 80)


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


def _layout(*targets: Target, old: Layout | None = None) -> Layout:
    plan = Plan({WEB: Backend(tuple(targets), masquerade=False)}, frozenset({"10.96.0.7"}))
    return lay_out(plan, old or Layout())


def test_removing_an_endpoint_changes_only_its_index_and_the_count() -> None:
    before = _layout(A, B, C)
    difference = changes(before, _layout(B, C, old=before))
    key = ("tcp", "10.96.0.7", 80)
    assert set(difference.delete) == {
        Element("services", key, "service-3"),
        Element("endpoints", (*key, 0), ("10.0.0.1", 80)),
        Element("endpoints", (*key, 2), ("10.0.0.3", 80)),
        Element("hairpin", ("10.0.0.1", "10.0.0.1"), None),
    }
    assert set(difference.add) == {
        Element("services", key, "service-2"),
        Element("endpoints", (*key, 0), ("10.0.0.3", 80)),
    }


def test_a_service_without_endpoints_is_refused() -> None:
    assert _layout().elements == {
        ("no-endpoints", ("tcp", "10.96.0.7", 80)): None,
        ("cluster-addresses", ("10.96.0.7",)): None,
    }


def test_nothing_changes_when_nothing_differs() -> None:
    layout = _layout(A, B)
    assert changes(layout, _layout(A, B, old=layout)) == changes(layout, layout)
    assert not changes(layout, layout).add
