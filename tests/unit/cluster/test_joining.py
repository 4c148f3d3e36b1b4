"""A machine that has joined: what its profile says, and what it may no longer do."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from support.throwaway_pki import Authority
from tiphys.api.meta import Obj
from tiphys.cli.output import CommandError
from tiphys.cluster import access, join_addons
from tiphys.cluster.commands.node.list import joined_nodes
from tiphys.cluster.host_node import table
from tiphys.cluster.joining import check_certificate, profile_of
from tiphys.cluster.nodes import with_node
from tiphys.cluster.profile import Node, Profile, ProfileError, Roots, load
from tiphys.kubelet import certificate_store

KNOWN = {
    "podSubnet": "10.244.0.0/16",
    "serviceSubnet": "10.96.0.0/16",
    "loadBalancerPool": "192.168.49.128/25",
    "overlay": "vxlan",
    "proxyMode": "iptables",
    "clientCA": "...",
}
SERVER = "https://10.0.0.1:6443"


def joined(directory: Path) -> Profile:
    return profile_of("p", Roots(directory, directory), Node("n", "10.0.0.2"), SERVER, KNOWN)


def test_a_joined_profile_is_the_clusters_and_reads_back(tmp_path: Path) -> None:
    profile = joined(tmp_path)
    profile.save()
    assert load(profile.roots, "p") == profile
    assert (profile.is_joined, profile.uses_host_network, profile.server) == (True, True, SERVER)
    assert (profile.dns_service, profile.proxy_mode, profile.overlay) == (
        "10.96.0.10",
        "iptables",
        "vxlan",
    )


def test_everything_on_it_acts_as_its_node(tmp_path: Path) -> None:
    profile = joined(tmp_path)
    paths = {access.path_for(profile, c) for c in ("admin", "proxy", "dns")}
    assert paths == {profile.kubeconfigs / "kubelet.conf"}
    assert access.path_for(profile, "kubelet", profile.nodes[0]) in paths


def test_a_cluster_that_does_not_tell_all_is_refused(tmp_path: Path) -> None:
    known = {k: v for k, v in KNOWN.items() if k != "overlay"}
    with pytest.raises(CommandError, match="does not tell its overlay"):
        profile_of("p", Roots(tmp_path, tmp_path), Node("n", "10.0.0.2"), SERVER, known)


def test_the_machine_is_the_only_node_of_its_profile(tmp_path: Path) -> None:
    listening = replace(joined(tmp_path), joined_server="", listen="10.0.0.1", nodes=())
    first = with_node(listening)
    assert [(n.name, n.address) for n in first.nodes] == [("p", "10.0.0.1")]
    assert first.server == "https://10.0.0.1:0"
    for profile in (first, joined(tmp_path)):
        with pytest.raises(ProfileError, match="tiphys join"):
            with_node(profile)


def test_a_certificate_that_has_ended_is_told_before_anything_starts(tmp_path: Path) -> None:
    profile = joined(tmp_path)
    authority = Authority(tmp_path / "ca")
    cert, key = authority.issue("node")
    found = x509.load_pem_x509_certificate(cert.read_bytes())
    start, end = found.not_valid_before_utc, found.not_valid_after_utc
    with pytest.raises(CommandError, match="of node n is missing"):
        check_certificate(profile, start)
    pem = cert.read_bytes() + key.read_bytes()
    certificate_store.save(profile.pki, certificate_store.CLIENT, pem, start)
    check_certificate(profile, end - timedelta(seconds=1))
    with pytest.raises(CommandError, match="ended on"):
        check_certificate(profile, end)


def test_nodes_that_the_profile_does_not_know_have_joined(tmp_path: Path) -> None:
    profile = joined(tmp_path)
    addresses = [{"type": "InternalIP", "address": "10.0.0.3"}]
    other = {"metadata": {"name": "m"}, "status": {"addresses": addresses}}
    known: dict[str, Obj] = {"n": {"metadata": {"name": "n"}}, "m": other}
    assert joined_nodes(profile, known) == [Node("m", "10.0.0.3")]


def test_only_what_leaves_the_cluster_takes_the_machines_address(tmp_path: Path) -> None:
    text = table(joined(tmp_path), "tiphys-p")
    assert "ip saddr 10.244.0.0/16 ip daddr != 10.244.0.0/16 masquerade" in text


def test_the_rights_of_joined_machines_are_reads_of_nothing_secret(tmp_path: Path) -> None:
    profile = replace(joined(tmp_path), joined_server="", listen="10.0.0.1")
    profile.pki.mkdir(parents=True)
    pem = Authority(tmp_path / "ca").path.read_bytes()
    for name in ("ca.crt", "client-ca.crt"):
        (profile.pki / name).write_bytes(pem)
    objects = [obj for _, obj in join_addons.manifests(profile)]
    granted = {
        (resource, verb)
        for obj in objects
        if obj["kind"] == "ClusterRole" and obj["metadata"]["name"] == join_addons.NODE_NETWORK
        for rule in obj["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    kinds = "services endpoints namespaces pods endpointslices servicecidrs networkpolicies"
    reads = {(r, v) for r in kinds.split() for v in ("list", "watch")}
    assert granted == reads | {("nodes", v) for v in ("get", "list", "watch")}
    texts = [str(obj) for obj in objects if obj["kind"] == "ConfigMap"]
    assert not any("PRIVATE KEY" in text for text in texts)
