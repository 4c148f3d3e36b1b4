"""The DNS server of every node: answers, latency, truncation; the servers that it asks itself."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from tiphys.api.meta import Obj, at, labels_of, name_of, namespace_of
from tiphys.cluster.netcheck import agent
from tiphys.cluster.netcheck.finding import NetFinding
from tiphys.cluster.netcheck.place import Place
from tiphys.cluster.netcheck.probes import ask_dns, at_once, dns_query
from tiphys.cluster.netcheck.scene import Scene
from tiphys.cluster.processes import Process
from tiphys.dns.external_name import addresses_in
from tiphys.dns.packet import SOA, A, is_truncated
from tiphys.dns.service_records import SERVICE_NAME_LABEL
from tiphys.dns.settings import NAME as SETTINGS
from tiphys.dns.settings import NAMESPACE as SETTINGS_NAMESPACE
from tiphys.dns.settings import STUB_DOMAINS, UPSTREAM_NAMESERVERS, SettingsError, Upstream
from tiphys.dns.settings import settings as read_settings
from tiphys.lib.resolv_conf import machine_resolvers

NAME: Final = "dns"
DOMAIN: Final = "cluster.local"
SECONDS_MAX: Final = 0.05  # Of an answer from memory; the median of several.
ROUNDS: Final = 5
ATTEMPTS_MAX: Final = 2
_SURE: Final = "kubernetes.default.svc.cluster.local"


@dataclass(frozen=True, slots=True)
class Seen:
    """What a node's server did. big: addresses of the Service with most, over UDP and TCP."""

    addresses: tuple[str, ...] | None  # None: no answer.
    seconds: float = 0.0
    tcp_addresses: tuple[str, ...] | None = ()
    big_wanted: int = 0
    big_udp: int = 0
    big_is_cut: bool = False
    big_tcp: int = 0


def look(scene: Scene) -> list[NetFinding]:
    found: list[NetFinding] = []
    for _, place in scene.nodes:
        process = scene.process("dns", place.name)
        seen = observe(scene, place)
        wanted = scene.profile.kubernetes_service
        found += judge(place, seen, wanted, process, agent.state(process), scene.profile.name)
    return found + _settings(scene)


def observe(scene: Scene, place: Place) -> Seen:
    server = scene.profile.dns_service
    query = dns_query(_SURE, A)
    first = [ask_dns(place, server, query) for _ in range(ATTEMPTS_MAX)]
    if not any(a.data for a in first):
        return Seen(None)
    answers = [*first, *[ask_dns(place, server, query) for _ in range(ROUNDS - ATTEMPTS_MAX)]]
    told = [a for a in answers if a.data]
    over_tcp = ask_dns(place, server, query, tcp=True).data
    name, count = biggest(scene.world.services or [], scene.world.slices or [])
    big = dns_query(name, A) if name else b""
    udp = ask_dns(place, server, big).data if big else b""
    tcp = ask_dns(place, server, big, tcp=True).data if big else b""
    return Seen(
        _addresses(told[0].data),
        statistics.median(a.seconds for a in told),
        _addresses(over_tcp) if over_tcp else None,
        count,
        len(_addresses(udp)),
        is_truncated(udp),
        len(_addresses(tcp)),
    )


def _addresses(answer: bytes) -> tuple[str, ...]:
    return tuple([str(r.data) for r in addresses_in(answer, "") if r.type == A])


def biggest(services: Sequence[Obj], slices: Sequence[Obj]) -> tuple[str, int]:
    """The headless Service with most ready addresses, and how many; ("", 0) without any. Pure."""
    found = ("", 0)
    for service in services:
        if at(service, "spec", "clusterIP") != "None":
            continue
        name, namespace = name_of(service), namespace_of(service)
        ready = {
            address
            for one in slices
            if namespace_of(one) == namespace
            and labels_of(one).get(SERVICE_NAME_LABEL) == name
            and one.get("addressType") == "IPv4"
            for endpoint in one.get("endpoints") or []
            if at(endpoint, "conditions", "ready") is not False
            for address in endpoint.get("addresses") or []
        }
        if len(ready) > found[1]:
            found = (f"{name}.{namespace}.svc.{DOMAIN}", len(ready))
    return found


def judge(
    place: Place, seen: Seen, wanted: str, process: Process | None, state: str, profile: str
) -> list[NetFinding]:
    """Pure. One finding: who answers not at all answers nothing else right either."""
    what = ""
    if seen.addresses is None:
        what = "does not answer"
    elif seen.addresses != (wanted,):
        what = f"says {_SURE} is {', '.join(seen.addresses) or 'nowhere'}, wanted {wanted}"
    elif seen.tcp_addresses != (wanted,):
        what = "does not answer over TCP: answers that are too long for UDP are lost"
    elif seen.big_udp < seen.big_wanted and not seen.big_is_cut:
        what = f"tells {seen.big_udp} of {seen.big_wanted} addresses and not that some are missing"
    elif seen.big_tcp < seen.big_wanted:
        what = f"tells {seen.big_tcp} of {seen.big_wanted} addresses over TCP"
    elif seen.seconds > SECONDS_MAX:
        took = seen.seconds * 1000
        what = f"takes {took:.0f} ms for an answer, {SECONDS_MAX * 1000:.0f} ms is much"
    if not what:
        return []
    otherwise = "the server works on something else, or packets to it are dropped on the node"
    return [
        NetFinding(
            NAME,
            place.name,
            f"the DNS server {what}",
            agent.cause(process, state, otherwise),
            agent.fix(process, state, profile),
            fatal=seen.seconds <= SECONDS_MAX,
        )
    ]


def _settings(scene: Scene) -> list[NetFinding]:
    """The ConfigMap, and whether everybody whom it names answers."""
    profile = scene.profile.name
    try:
        found = read_settings(scene.world.dns_config, DOMAIN)
    except SettingsError as exc:
        data = at(scene.world.dns_config, "data", default={})
        return [judge_config(profile, exc, data)]
    usual = found.upstreams or tuple([Upstream(a) for a in machine_resolvers()])
    asked: list[tuple[str, str, Upstream]] = [(".", UPSTREAM_NAMESERVERS, u) for u in usual]
    asked += [(d, STUB_DOMAINS, u) for d, servers in found.stubs.items() for u in servers]
    silent: dict[tuple[str, str, Upstream], list[str]] = {}
    for _, place in scene.nodes:
        answers = at_once(partial(answers_at_all, place), asked)
        for one, works in zip(asked, answers, strict=True):
            if not works:
                silent.setdefault(one, []).append(place.name)
    data = at(scene.world.dns_config, "data", default={})
    return [judge_upstream(profile, nodes, one, data) for one, nodes in silent.items()]


def answers_at_all(place: Place, asked: tuple[str, str, Upstream]) -> bool:
    domain, _, upstream = asked
    query = dns_query(domain, SOA)
    return any(
        ask_dns(place, upstream.address, query, port=upstream.port).data
        for _ in range(ATTEMPTS_MAX)
    )


def judge_config(profile: str, error: SettingsError, data: Obj) -> NetFinding:
    """Pure. The key that the message begins with is left out."""
    words = str(error).lstrip('"').replace('"', " ").replace(":", " ").split()
    wrong = words[0].partition(".")[0]
    right = {key: text for key, text in data.items() if key != wrong}
    return NetFinding(
        NAME,
        "host",
        f"the ConfigMap kube-system/kube-dns is not used: {error}",
        "whoever wrote it last made a mistake; what was in force before stays",
        configure(profile, right),
    )


def judge_upstream(
    profile: str, nodes: Sequence[str], asked: tuple[str, str, Upstream], data: Obj
) -> NetFinding:
    """Pure. The fix leaves out the server that does not answer. nodes: that asked in vain."""
    domain, key, upstream = asked
    if key == STUB_DOMAINS:
        what = f"{upstream}, which is asked for {domain}, does not answer"
        cause = "the ConfigMap kube-system/kube-dns names a server that is not there"
        fix = configure(profile, {**data, key: without(json.loads(data[key]), upstream)})
    elif data.get(key, "").strip():
        what = f"{upstream}, which is asked for foreign names, does not answer"
        cause = "the ConfigMap kube-system/kube-dns names a server that is not there"
        left = [one for one in json.loads(data[key]) if not _is(one, upstream)]
        fix = configure(profile, {**data, key: json.dumps(left) if left else ""})
    else:
        what = f"{upstream}, the machine's own resolver, does not answer"
        cause = "the machine's resolv.conf names a server that nodes cannot reach; name others:"
        fix = configure(profile, {**data, key: json.dumps(["ADDRESS"])})
    where, touches = ", ".join(nodes), frozenset(nodes)
    return NetFinding(NAME, where, what, cause, fix, fatal=False, touches=touches)


def without(stubs: dict[str, list[str]], upstream: Upstream) -> str:
    """The stub domains, each without a server; "" when nothing is left. Pure."""
    left = {d: [s for s in servers if not _is(s, upstream)] for d, servers in stubs.items()}
    left = {d: servers for d, servers in left.items() if servers}
    return json.dumps(left) if left else ""


def _is(text: str, upstream: Upstream) -> bool:
    return text in (str(upstream), f"{upstream.address}:{upstream.port}")


def configure(profile: str, data: Obj) -> str:
    """A command that makes these the ConfigMap's contents. Pure."""
    metadata = {"name": SETTINGS, "namespace": SETTINGS_NAMESPACE}
    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
    return f"echo '{json.dumps(config_map)}' | tiphys -p {profile} kubectl apply -f -"
