"""The text for iptables-restore: chains, probabilities, differences only, cleaning up."""

import re
from dataclasses import replace

from tiphys.proxy.iptables_rules import Group, Rule, RuleSet, group_rules, ours, removal
from tiphys.proxy.plan import Backend, Frontend, Kind, Target

A, B, C = (Target(f"10.0.0.{n}", 8080) for n in range(1, 4))
WEB = Frontend("tcp", "10.96.0.7", 80)
OUTSIDE = Frontend("tcp", "203.0.113.1", 80)
GROUP = Group("default/web:", "tcp")
INSIDE = Backend(Kind.CLUSTER, GROUP.service, (A, B, C))
BALANCED = Backend(Kind.LOAD_BALANCER, GROUP.service, (A, B, C), masquerade=True)
PODS = "10.244.0.0/16"


def chain(frontends: dict[Frontend, Backend], kind: str) -> tuple[str, ...]:
    found = group_rules(GROUP, frontends, PODS).chains
    return next((rules for name, rules in found.items() if name.startswith(f"KUBE-{kind}-")), ())


def test_every_endpoint_has_the_same_probability() -> None:
    rules = chain({WEB: INSIDE}, "SVC")
    chances = re.findall(r"--probability ([0-9.]+)", " ".join(rules))
    assert chances == ["0.3333333333", "0.5000000000"], "the last one takes what is left"
    assert rules[0] == f"! -s {PODS} -d 10.96.0.7/32 -p tcp -m tcp --dport 80 -j KUBE-MARK-MASQ"
    assert len(rules) == 4


def test_affinity_is_asked_first_and_noted_last() -> None:
    rules = chain({WEB: replace(INSIDE, targets=(A,), sticky_seconds=60)}, "SVC")
    assert "--rcheck --seconds 60 --reap" in rules[1]
    endpoint = chain({WEB: replace(INSIDE, targets=(A,), sticky_seconds=60)}, "SEP")
    assert endpoint[0] == "-s 10.0.0.1/32 -j KUBE-MARK-MASQ"
    assert re.fullmatch(
        r"-m recent --name KUBE-SEP-\w+ --set -p tcp -m tcp "
        r"-j DNAT --to-destination 10\.0\.0\.1:8080",
        endpoint[1],
    )


def test_a_local_policy_lets_pods_and_the_node_reach_all() -> None:
    local = replace(BALANCED, targets=(A,), near=(A, B), local=True, masquerade=False)
    rules = chain({OUTSIDE: local}, "EXT")
    assert [rule.split(" -j ")[0] for rule in rules[:3]] == [
        f"-s {PODS}",
        "-m addrtype --src-type LOCAL",
        "-m addrtype --src-type LOCAL",
    ]
    assert rules[3].startswith("-j KUBE-SVL-")
    assert len(chain({OUTSIDE: local}, "SVL")) == 1
    nobody_here = replace(local, targets=(), drop=True)
    assert len(chain({OUTSIDE: nobody_here}, "EXT")) == 3
    entries = group_rules(GROUP, {OUTSIDE: nobody_here}, PODS).entries
    assert [e.text.split()[-1] for e in entries if e.table == "filter"] == ["DROP"]


def test_source_ranges_come_before_everything() -> None:
    found = group_rules(GROUP, {OUTSIDE: replace(BALANCED, sources=("10.0.0.0/8",))}, PODS)
    firewall = next(rules for name, rules in found.chains.items() if name.startswith("KUBE-FW-"))
    assert firewall[0].startswith("-s 10.0.0.0/8 -j KUBE-EXT-")
    dropped = [e.text for e in found.entries if e.table == "filter"]
    assert len(dropped) == 1
    assert dropped[0].startswith("KUBE-PROXY-FIREWALL -d 203.0.113.1/32")


def test_only_differences_are_written() -> None:
    rules = RuleSet(PODS)
    assert rules.change({WEB: INSIDE, OUTSIDE: BALANCED})
    assert not rules.change({WEB: INSIDE})
    text = rules.change({WEB: replace(INSIDE, targets=(A, B)), OUTSIDE: None})
    assert text.count("COMMIT") == 1
    declared = re.findall(r"^:(KUBE-\w+)-", text, re.M)
    assert sorted(declared) == ["KUBE-EXT", "KUBE-SEP", "KUBE-SVC"], "balanced anew; two are gone"
    assert re.findall(r"^-D (\S+ \S+ \S+)", text, re.M) == ["KUBE-SERVICES -d 203.0.113.1/32"]
    assert [line.split("-")[2] for line in text.splitlines() if line[:2] == "-X"] == ["EXT", "SEP"]
    gone = rules.change({WEB: None})
    assert not re.search("^-A", gone, re.M)


def test_everything_anew_replaces_what_an_earlier_life_left() -> None:
    rules = RuleSet(PODS, "10.96.0.0/12")
    rules.change({WEB: INSIDE})
    left = ["KUBE-SERVICES", "KUBE-SVC-OLD", "KUBE-MARK-MASQ"]
    text = rules.whole([Rule("nat", "PREROUTING -j KUBE-SERVICES")], left)
    assert "-D PREROUTING -j KUBE-SERVICES\n" in text
    assert text.count("-I PREROUTING -j KUBE-SERVICES\n") == 1
    assert re.findall("^-X (.*)", text, re.M) == ["KUBE-SVC-OLD"]
    assert "-d 10.96.0.0/12 -m addrtype ! --dst-type LOCAL -p tcp -j REJECT" in text


SAVED = """*nat
:PREROUTING ACCEPT [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-SVC-ABC - [0:0]
:DOCKER - [0:0]
-A PREROUTING -j KUBE-SERVICES
-A PREROUTING -j DOCKER
-A KUBE-SERVICES -d 10.96.0.7/32 -j KUBE-SVC-ABC
COMMIT
*filter
:INPUT ACCEPT [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-FIREWALL - [0:0]
-A INPUT -m conntrack --ctstate NEW -j KUBE-SERVICES
-A INPUT -j KUBE-FIREWALL
COMMIT
"""


def test_cleaning_up_takes_ours_and_nothing_else() -> None:
    jumps, chains = ours(SAVED)
    assert jumps == [
        Rule("nat", "PREROUTING -j KUBE-SERVICES"),
        Rule("filter", "INPUT -m conntrack --ctstate NEW -j KUBE-SERVICES"),
    ]
    assert chains == {"nat": ["KUBE-SERVICES", "KUBE-SVC-ABC"], "filter": ["KUBE-SERVICES"]}
    text = removal(jumps, chains)
    assert "DOCKER" not in text
    assert "KUBE-FIREWALL" not in text
    assert text.count("-X ") == 3
