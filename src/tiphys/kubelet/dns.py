"""A pod's resolver settings and host name.

Upstream: pkg/kubelet/network/dns/dns.go, kubelet_pods.go (GeneratePodHostNameAndDomain).
"""

from dataclasses import dataclass, field
from typing import Any, Final

from tiphys.api.meta import Obj, at, name_of, namespace_of
from tiphys.kubelet.pod_spec import is_host_network

NAMESERVERS_MAX: Final = 3  # dns.go, apis validation MaxDNSNameservers
SEARCHES_MAX: Final = 32  # MaxDNSSearchPaths
HOSTNAME_CHARS_MAX: Final = 63
CLUSTER_OPTIONS: Final = ("ndots:5",)


@dataclass(frozen=True, slots=True)
class Resolver:
    """The content of a resolv.conf."""

    servers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()

    def to_cri(self) -> dict[str, Any]:
        return {
            "servers": list(self.servers[:NAMESERVERS_MAX]),
            "searches": list(self.searches[:SEARCHES_MAX]),
            "options": list(self.options),
        }


@dataclass(frozen=True, slots=True)
class ClusterDNS:
    servers: tuple[str, ...] = ()
    domain: str = "cluster.local"
    host: Resolver = field(default_factory=Resolver)


def parse_resolv_conf(text: str) -> Resolver:
    """What a node's own file says; the last `search` counts. Source: resolv.conf(5)."""
    servers: list[str] = []
    searches: tuple[str, ...] = ()
    options: list[str] = []
    for line in text.splitlines():
        words = line.split()
        if not words or words[0][0] in "#;":
            continue
        if words[0] == "nameserver" and len(words) > 1:
            servers.append(words[1])
        elif words[0] in ("search", "domain"):
            searches = tuple(w.rstrip(".") or "." for w in words[1:])
        elif words[0] == "options":
            options += words[1:]
    return Resolver(tuple(servers), searches, tuple(options))


def resolver_of(pod: Obj, cluster: ClusterDNS) -> Resolver:
    """The settings that the pod's dnsPolicy and dnsConfig lead to."""
    policy = at(pod, "spec", "dnsPolicy", default="ClusterFirst")
    if policy == "ClusterFirst" and is_host_network(pod):
        policy = "Default"
    if policy == "None":
        found = Resolver()
    elif policy == "Default" or not cluster.servers:
        found = cluster.host
    else:
        domain = cluster.domain
        searches = (f"{namespace_of(pod)}.svc.{domain}", f"svc.{domain}", domain)
        found = Resolver(
            cluster.servers, _unique(searches + cluster.host.searches), CLUSTER_OPTIONS
        )
    return _with_own(found, at(pod, "spec", "dnsConfig", default={}))


def _with_own(found: Resolver, own: Obj) -> Resolver:
    options = dict(_split(o) for o in found.options)
    for option in own.get("options") or []:
        options[option["name"]] = option.get("value") or ""
    return Resolver(
        _unique(found.servers + tuple(own.get("nameservers") or ())),
        _unique(found.searches + tuple(own.get("searches") or ())),
        tuple(f"{k}:{v}" if v else k for k, v in options.items()),
    )


def _split(option: str) -> tuple[str, str]:
    name, _, value = option.partition(":")
    return name, value


def _unique(values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))


def host_name(pod: Obj, cluster_domain: str) -> tuple[str, str]:
    """The pod's host name and its domain; the domain is empty without subdomain."""
    hostname = at(pod, "spec", "hostnameOverride", default="")
    if hostname:
        return hostname, ""
    hostname = at(pod, "spec", "hostname", default="")
    if not hostname:
        hostname = name_of(pod)[:HOSTNAME_CHARS_MAX].rstrip("-.")
    subdomain = at(pod, "spec", "subdomain", default="")
    domain = f"{subdomain}.{namespace_of(pod)}.svc.{cluster_domain}" if subdomain else ""
    return hostname, domain


def sandbox_host_name(pod: Obj, cluster_domain: str) -> str:
    """What the sandbox's UTS namespace is called; empty for pods in the host's network."""
    if is_host_network(pod):
        return ""
    hostname, domain = host_name(pod, cluster_domain)
    if domain and at(pod, "spec", "setHostnameAsFQDN"):
        return f"{hostname}.{domain}"
    return hostname


def hosts_file(pod: Obj, ips: tuple[str, ...], cluster_domain: str, host_hosts: str) -> str:
    """The content of /etc/hosts. Upstream: kubelet_pods.go (ensureHostsFile)."""
    if is_host_network(pod):
        text = "# Kubernetes-managed hosts file (host network).\n" + host_hosts
    else:
        hostname, domain = host_name(pod, cluster_domain)
        names = f"{hostname}.{domain}\t{hostname}" if domain else hostname
        lines = [
            "# Kubernetes-managed hosts file.",
            "127.0.0.1\tlocalhost",
            "::1\tlocalhost ip6-localhost ip6-loopback",
            "fe00::0\tip6-localnet",
            "fe00::0\tip6-mcastprefix",
            "fe00::1\tip6-allnodes",
            "fe00::2\tip6-allrouters",
            *(f"{ip}\t{names}" for ip in ips),
        ]
        text = "\n".join(lines) + "\n"
    aliases = at(pod, "spec", "hostAliases", default=[])
    if aliases:
        text += "\n# Entries added by HostAliases.\n"
        for alias in aliases:
            text += "\t".join([alias["ip"], *(alias.get("hostnames") or [])]) + "\n"
    return text
