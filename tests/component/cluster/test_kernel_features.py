"""Trying the kernel's features for real, and missing one that is not there."""

import os
from pathlib import Path

import pytest

from tiphys.cluster import kernel_features, leftovers, rights
from tiphys.cluster.kernel_features import Feature
from tiphys.cluster.profile import Roots
from tiphys.lib.netlink.route import route_socket

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
]


def test_this_machine_has_all_and_is_left_as_it_was() -> None:
    with route_socket() as route:
        before = sorted(link.name for link in route.links() if link.name.startswith("check"))
    assert kernel_features.missing() == []
    with route_socket() as route:
        assert sorted(k.name for k in route.links() if k.name.startswith("check")) == before
    assert [f for f in rights.missing(rights.effective()) if f.fatal] == []


def test_a_feature_that_the_kernel_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = Feature(
        "nftables unicorns", "CONFIG_UNICORNS", "type filter hook prerouting nonsense"
    )
    monkeypatch.setattr(kernel_features, "RULES", (*kernel_features.RULES, unknown))
    assert kernel_features.missing() == ["nftables unicorns"]


def test_a_link_that_was_left_is_found(tmp_path: Path) -> None:
    from tiphys.cluster import addresses

    name = f"left{os.getpid() % 10000}"
    link = f"{addresses.short_name(name)}br"
    with route_socket() as route:
        route.add_bridge(link)
        try:
            machine = leftovers.observe(name)
        finally:
            route.delete_link(link)
    roots = Roots(tmp_path / "state", tmp_path / "run")
    assert leftovers.of(name, machine, roots) == [f"link {link}"]
