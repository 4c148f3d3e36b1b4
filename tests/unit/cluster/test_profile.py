"""Profiles on disk: names, versions, damage."""

from dataclasses import replace
from pathlib import Path

import pytest

from tiphys.cluster import profile as profiles
from tiphys.cluster.profile import Node, Profile, ProfileError, Roots


def a_profile(root: Path) -> Profile:
    return Profile(
        name="p",
        roots=Roots(root / "state", root / "run"),
        api_port=6443,
        node_cidr="192.168.49.0/24",
        pod_cidr="10.244.0.0/16",
        service_cidr="10.96.0.0/16",
        load_balancer_pool="192.168.49.128/25",
        nodes=(Node("p", "192.168.49.2"),),
    )


def test_a_profile_is_read_as_it_was_written(tmp_path: Path) -> None:
    profile = a_profile(tmp_path)
    profile.save()
    assert profiles.load(profile.roots, "p") == profile
    assert profiles.names(profile.roots) == ["p"]
    assert (profile.gateway, profile.dns_service) == ("192.168.49.1", "10.96.0.10")


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a/b", "..", "a" * 41, "a_b"])
def test_names_that_are_no_names(name: str) -> None:
    with pytest.raises(ProfileError, match="is not usable"):
        profiles.check_name(name)


def test_another_format_is_refused_and_says_what_to_do(tmp_path: Path) -> None:
    profile = replace(a_profile(tmp_path), version=99)
    profile.save()
    with pytest.raises(ProfileError, match=r"has format 99, this tiphys reads 1.*tiphys delete"):
        profiles.load(profile.roots, "p")


def test_a_damaged_profile_says_what_to_do(tmp_path: Path) -> None:
    profile = a_profile(tmp_path)
    profile.save()
    (profile.directory / "profile.json").write_text("{")
    with pytest.raises(ProfileError, match=r"is damaged.*tiphys delete -p p"):
        profiles.load(profile.roots, "p")


def test_without_nodes_everything_is_on_loopback(tmp_path: Path) -> None:
    assert replace(a_profile(tmp_path), nodes=()).server == "https://127.0.0.1:6443"
