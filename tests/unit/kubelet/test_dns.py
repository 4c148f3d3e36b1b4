"""resolv.conf, host names and /etc/hosts of pods."""

import pytest

from tiphys.api.meta import Obj
from tiphys.kubelet.dns import (
    ClusterDNS,
    Resolver,
    hosts_file,
    parse_resolv_conf,
    resolver_of,
    sandbox_host_name,
)
from unit.kubelet.builders import a_pod

HOST = Resolver(("8.8.8.8",), ("corp",), ("rotate",))
CLUSTER = ClusterDNS(("10.96.0.10",), "cluster.local", HOST)
IN_CLUSTER = Resolver(
    ("10.96.0.10",),
    ("ns.svc.cluster.local", "svc.cluster.local", "cluster.local", "corp"),
    ("ndots:5",),
)


@pytest.mark.parametrize(
    ("pod", "wanted"),
    [
        (a_pod(), IN_CLUSTER),
        (a_pod(dnsPolicy="Default"), HOST),
        (a_pod(hostNetwork=True, dnsPolicy="ClusterFirst"), HOST),
        (a_pod(hostNetwork=True, dnsPolicy="ClusterFirstWithHostNet"), IN_CLUSTER),
        (
            a_pod(
                dnsPolicy="None",
                dnsConfig={
                    "nameservers": ["1.1.1.1"],
                    "searches": ["a"],
                    "options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}],
                },
            ),
            Resolver(("1.1.1.1",), ("a",), ("ndots:2", "edns0")),
        ),
        (
            a_pod(dnsConfig={"options": [{"name": "ndots", "value": "1"}]}),
            Resolver(IN_CLUSTER.servers, IN_CLUSTER.searches, ("ndots:1",)),
        ),
    ],
    ids=["ClusterFirst", "Default", "host network", "with host net", "None", "own option"],
)
def test_resolver(pod: Obj, wanted: Resolver) -> None:
    assert resolver_of(pod, CLUSTER) == wanted


def test_resolv_conf_is_read() -> None:
    text = "# c\nnameserver 1.1.1.1\nsearch a b.\noptions ndots:2 rotate\nnameserver ::1\n"
    assert parse_resolv_conf(text) == Resolver(
        ("1.1.1.1", "::1"), ("a", "b"), ("ndots:2", "rotate")
    )


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ({}, "p"),
        ({"hostname": "h"}, "h"),
        ({"hostname": "h", "subdomain": "s"}, "h"),
        (
            {"hostname": "h", "subdomain": "s", "setHostnameAsFQDN": True},
            "h.s.ns.svc.cluster.local",
        ),
        ({"hostNetwork": True}, ""),
    ],
)
def test_host_name(fields: Obj, wanted: str) -> None:
    assert sandbox_host_name(a_pod(**fields), "cluster.local") == wanted


def test_a_long_name_is_cut_to_a_host_name() -> None:
    pod = a_pod()
    pod["metadata"]["name"] = "a" * 62 + "-xyz"
    assert sandbox_host_name(pod, "cluster.local") == "a" * 62


def test_hosts_file_names_the_pod_and_its_aliases() -> None:
    """node/run/16 and 21."""
    pod = a_pod(
        hostname="first", subdomain="sub", hostAliases=[{"ip": "1.2.3.4", "hostnames": ["x", "y"]}]
    )
    text = hosts_file(pod, ("10.0.0.1",), "cluster.local", "")
    assert text.startswith("# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n")
    assert text.endswith(
        "10.0.0.1\tfirst.sub.ns.svc.cluster.local\tfirst\n"
        "\n# Entries added by HostAliases.\n1.2.3.4\tx\ty\n"
    )


def test_hosts_file_of_the_host_network_is_the_hosts() -> None:
    text = hosts_file(a_pod(hostNetwork=True), (), "cluster.local", "127.0.0.1 me\n")
    assert text == "# Kubernetes-managed hosts file (host network).\n127.0.0.1 me\n"
