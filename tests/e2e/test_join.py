"""Two machines that share only a cable: one starts a cluster, the other joins it."""

import base64
import json
import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from e2e.clusters import kubectls, until
from e2e.machines import Machine, two_machines
from tiphys.api.meta import parse_time
from tiphys.kubelet import certificate_store
from tiphys.lib import certificate_request

WEB = (
    "mkdir -p /w; hostname > /w/index.html; echo hello from $(hostname); exec httpd -f -p 80 -h /w"
)
SHORT_LIFE_SECONDS = 25

Pair = tuple[Machine, Machine]


@pytest.fixture(scope="module")
def machines() -> Iterator[Pair]:
    assert os.geteuid() == 0, "machines need root"
    first, second = two_machines()
    try:
        first.cluster.start("--listen", first.address)
        second.cluster.tiphys(*join_words(first))
        yield first, second
    finally:
        for machine in (second, first):
            machine.cluster.tiphys("delete", check=False)
            machine.close()
            machine.cluster.forget()


def join_words(first: Machine) -> list[str]:
    text = first.cluster.tiphys("token", "create", "--print-join-command").stdout
    return text.split()[1:]


def pod(name: str, node: str) -> dict[str, Any]:
    container = {"name": "c", "image": "busybox", "command": ["sh", "-c", WEB]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": "web"}},
        "spec": {
            "nodeName": node,
            "containers": [container],
            "terminationGracePeriodSeconds": 0,
        },
    }


SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web"},
    "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
}


def apply(first: Machine, obj: dict[str, Any]) -> None:
    first.cluster.kubectl("apply", "-f", "-", stdin=json.dumps(obj))


def running(first: Machine, count: int) -> list[Any]:
    found = first.cluster.running_pods("app=web")
    return found if len(found) == count else []


def fetched(first: Machine, own: str, url: str) -> str:
    ask = ("exec", own, "--", "wget", "-qO-", "-T", "3", url)
    return first.cluster.kubectl(*ask, check=False).strip()


def is_ready(first: Machine, node: str) -> bool:
    conditions = first.cluster.get("node", node)["status"]["conditions"]
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def test_both_machines_are_nodes(machines: Pair) -> None:
    first, second = machines
    nodes = {n["metadata"]["name"]: n for n in first.cluster.get("nodes")["items"]}
    assert set(nodes) == {first.name, second.name}
    assert all(is_ready(first, name) for name in nodes)
    addresses = nodes[second.name]["status"]["addresses"]
    assert {"type": "InternalIP", "address": second.address} in addresses
    requests = first.cluster.get("csr")["items"]
    signed = {r["spec"]["signerName"] for r in requests if r["status"].get("certificate")}
    assert signed == {
        "kubernetes.io/kube-apiserver-client-kubelet",
        "kubernetes.io/kubelet-serving",
    }
    assert second.cluster.status()["state"] == "Running"
    assert first.cluster.status()["state"] == "Running"


def test_pods_and_services_are_reached_across(machines: Pair) -> None:
    first, second = machines
    apply(first, pod("on-first", first.name))
    apply(first, pod("on-second", second.name))
    apply(first, SERVICE)
    pods = until(lambda: running(first, 2), what="a pod on each machine")
    address = {p["metadata"]["name"]: p["status"]["podIP"] for p in pods}
    assert fetched(first, "on-first", f"http://{address['on-second']}/") == "on-second"
    assert fetched(first, "on-second", f"http://{address['on-first']}/") == "on-first"
    for own in address:
        seen: set[str] = set()

        def both(own: str = own, seen: set[str] = seen) -> bool:
            seen.add(fetched(first, own, "http://web.default/"))
            return {"on-first", "on-second"} <= seen

        until(both, what=f"{own} reaches both pods by the Service")
    # The joined machine itself, and the API from a pod on it.
    cluster_ip = first.cluster.get("service", "web")["spec"]["clusterIP"]
    script = f"import urllib.request as u; print(u.urlopen('http://{cluster_ip}/').read().decode())"
    assert second.run("python3", "-c", script).strip() in address
    ask = "echo | nc -w 3 kubernetes.default 443 && echo open"
    assert "open" in first.cluster.kubectl("exec", "on-second", "--", "sh", "-c", ask)


def policy(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name},
        "spec": {"podSelector": {"matchLabels": {"app": "web"}}, **spec},
    }


def test_policies_hold_on_the_joined_machine(machines: Pair) -> None:
    first, second = machines
    for name, machine in (("on-first", first), ("on-second", second)):
        apply(first, pod(name, machine.name))
    stranger = pod("stranger", first.name)
    stranger["metadata"]["labels"] = {"app": "stranger"}
    apply(first, stranger)
    until(lambda: running(first, 2), what="a pod on each machine")
    until(lambda: first.cluster.running_pods("app=stranger"), what="the stranger")
    second_pod = first.cluster.get("pod", "on-second")
    url = f"http://{second_pod['status']['podIP']}/"

    def reached(own: str) -> bool:
        return fetched(first, own, url) == "on-second"

    assert reached("stranger"), "without policies everything passes"
    friends = [{"from": [{"podSelector": {"matchLabels": {"app": "web"}}}]}]
    apply(first, policy("friends", {"policyTypes": ["Ingress"], "ingress": friends}))
    until(lambda: not reached("stranger"), what="the stranger is kept out")
    assert reached("on-first"), "a friend on another machine is let in"
    first.cluster.kubectl("delete", "networkpolicy", "friends")
    until(lambda: reached("stranger"), what="the wall is gone")
    apply(first, policy("silent", {"policyTypes": ["Egress"], "egress": []}))
    own = first.cluster.get("pod", "on-first")["status"]["podIP"]
    out = f"http://{own}/"
    until(
        lambda: fetched(first, "on-second", out) != "on-first",
        what="nothing leaves the joined machine's pod",
    )
    first.cluster.kubectl("delete", "networkpolicy", "silent")
    until(lambda: fetched(first, "on-second", out) == "on-first", what="it may again")
    first.cluster.kubectl("delete", "pod", "stranger", "--wait=false")


# Without DNS: these machines have no way to the resolvers of their resolv.conf.
NETWORK_CHECKS = ("sysctls", "links", "routes", "mtu", "rules", "conntrack", "reachability")


def test_the_network_is_checked_on_both_machines(machines: Pair) -> None:
    for machine in machines:
        words = [word for check in NETWORK_CHECKS for word in ("--check", check)]
        done = machine.cluster.tiphys("net", "doctor", *words, "-o", "json", check=False)
        told = json.loads(done.stdout)
        assert (told["findings"], told["failed"]) == ([], {}), done.stderr
        assert any("`tiphys net doctor` there" in note for note in told["notes"])


def test_logs_and_exec_reach_the_joined_node(machines: Pair) -> None:
    first, _ = machines
    assert first.cluster.kubectl("logs", "on-second").strip() == "hello from on-second"
    assert kubectls(), "no kubectl on PATH"
    for kubectl in kubectls():
        assert first.cluster.real(kubectl, "logs", "on-second").strip() == "hello from on-second"
        found = first.cluster.real(kubectl, "exec", "on-second", "--", "hostname")
        assert found.strip() == "on-second"


def test_an_administrator_approves_a_users_certificate(machines: Pair, tmp_path: Path) -> None:
    first, _ = machines
    kubectl = kubectls()[-1]
    key = certificate_request.new_key()
    request = certificate_request.make(key, "jane", ["writers"])
    spec = {
        "request": base64.b64encode(request).decode(),
        "signerName": "kubernetes.io/kube-apiserver-client",
        "usages": ["client auth"],
        "expirationSeconds": 3600,
    }
    manifest = {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": "jane"},
        "spec": spec,
    }
    first.cluster.real(kubectl, "create", "-f", "-", stdin=json.dumps(manifest))
    assert "Pending" in first.cluster.real(kubectl, "get", "csr", "jane")
    first.cluster.real(kubectl, "certificate", "approve", "jane")

    def certificate() -> str:
        status = first.cluster.get("csr", "jane")["status"]
        return str(status.get("certificate", ""))

    signed = base64.b64decode(until(certificate, what="the certificate"))
    (tmp_path / "jane.crt").write_bytes(signed)
    (tmp_path / "jane.key").write_bytes(certificate_request.key_pem(key))
    flags = [f"--client-certificate={tmp_path}/jane.crt", f"--client-key={tmp_path}/jane.key"]
    first.cluster.real(kubectl, "config", "set-credentials", "jane", *flags)
    whoami = first.cluster.real(kubectl, "--user=jane", "auth", "whoami")
    assert "jane" in whoami
    assert "writers" in whoami


def test_a_joined_machine_stops_and_starts(machines: Pair) -> None:
    first, second = machines
    second.cluster.tiphys("stop")
    assert second.cluster.status()["state"] == "Stopped"
    assert second.run("ip", "-4", "-br", "addr", "show", "lo").split()[2:] == ["127.0.0.1/8"]
    assert "10.96" not in second.run("ip", "route")
    assert "kube-proxy" not in second.run("nft", "list", "tables")
    second.cluster.tiphys("start", "--wait")
    until(lambda: is_ready(first, second.name), what="the node is back")
    until(lambda: running(first, 2), what="its pod runs again")
    until(lambda: fetched(first, "on-first", "http://web.default/"), what="the Service answers")


def test_only_who_is_meant_joins(machines: Pair) -> None:
    first, second = machines
    words = join_words(first)
    wrong = [*words[:-1], "sha256:" + "0" * 64]
    done = second.cluster.tiphys("-p", "other", *wrong, check=False)
    assert done.returncode == 70
    assert "not the given one" in done.stderr
    done = second.cluster.tiphys(*words, check=False)
    assert "there is a profile" in done.stderr
    token = words[words.index("--token") + 1]
    assert token in first.cluster.tiphys("token", "list").stdout
    gone = first.cluster.tiphys("token", "delete", token).stdout
    assert gone.strip() == f'bootstrap token "{token.partition(".")[0]}" deleted'
    assert token not in first.cluster.tiphys("token", "list").stdout


def test_certificates_are_renewed_while_everything_runs(machines: Pair) -> None:
    first, second = machines
    directory = second.cluster.home / "state" / second.name / "pki"
    ended = give_short_certificates(first, second, directory)
    (before,) = second.cluster.pids("kubelet")
    others = second.cluster.pids("proxy") + second.cluster.pids("dns")
    os.kill(before, signal.SIGKILL)  # It begins with the certificates that end soon.
    (kubelet,) = until(lambda: [p for p in second.cluster.pids("kubelet") if p not in (0, before)])
    short = serials(directory)
    what = "new certificates before the old ones end"
    until(lambda: not short & serials(directory), SHORT_LIFE_SECONDS, what)
    assert datetime.now(UTC) < ended
    until(lambda: datetime.now(UTC) > ended + timedelta(seconds=1), SHORT_LIFE_SECONDS + 5)

    def speaks() -> bool:
        lease = first.cluster.get("lease", second.name, "-n", "kube-node-lease")
        return parse_time(lease["spec"]["renewTime"]) > ended

    until(speaks, 30, "the kubelet speaks with its new certificate")
    assert first.cluster.kubectl("logs", "on-second").strip() == "hello from on-second"
    apply(first, pod("after", second.name))
    until(lambda: running(first, 3), what="a new pod on the joined machine")
    until(lambda: fetched(first, "after", "http://web.default/") == "after", what="in the Service")
    assert second.cluster.pids("kubelet") == [kubelet]
    assert second.cluster.pids("proxy") + second.cluster.pids("dns") == others


def serials(directory: Path) -> set[int]:
    stems = (certificate_store.CLIENT, certificate_store.SERVER)
    found = (certificate_store.load(directory, stem) for stem in stems)
    return {one.serial_number for one in found if one is not None}


def give_short_certificates(first: Machine, second: Machine, directory: Path) -> datetime:
    """Certificates of the joined node that end soon; until when."""
    now = datetime.now(UTC).replace(microsecond=0)
    end = now + timedelta(seconds=SHORT_LIFE_SECONDS)
    pki = first.cluster.home / "state" / first.name / "pki"
    client = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    serving = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address(second.address))])
    for stem, authority, extensions in (
        (certificate_store.CLIENT, "client-ca", [client]),
        (certificate_store.SERVER, "ca", [serving, address]),
    ):
        builder = (
            x509.CertificateBuilder()
            .not_valid_before(now - timedelta(seconds=1))
            .not_valid_after(end)
            .subject_name(node_subject(second.name))
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        pem = issued(builder, pki / f"{authority}.crt", pki / f"{authority}.key")
        certificate_store.save(directory, stem, pem, now)
    return end


def node_subject(name: str) -> x509.Name:
    organization = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:nodes")
    return x509.Name([organization, x509.NameAttribute(NameOID.COMMON_NAME, f"system:node:{name}")])


def issued(builder: x509.CertificateBuilder, ca_file: Path, key_file: Path) -> bytes:
    """Certificate and key, PEM."""
    ca = x509.load_pem_x509_certificate(ca_file.read_bytes())
    ca_key = serialization.load_pem_private_key(key_file.read_bytes(), None)
    assert isinstance(ca_key, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    certificate = (
        builder.issuer_name(ca.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .add_extension(identifier, critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return certificate.public_bytes(serialization.Encoding.PEM) + private


def test_lines_of_a_joined_machine_are_in_the_clusters_log_once(machines: Pair) -> None:
    first, second = machines
    for number, name in enumerate((first.name, second.name)):
        talker = pod(f"talker-{number}", name)
        talker["metadata"]["labels"] = {"app": "talker"}
        talker["spec"]["restartPolicy"] = "Never"
        words = f"for i in 1 2 3; do echo said on {name} $i; done"
        talker["spec"]["containers"][0]["command"] = ["sh", "-c", words]
        apply(first, talker)

    def said() -> list[Any]:
        words = ("logs", "search", "said on", "-l", "app=talker", "-o", "json")
        done = first.cluster.tiphys(*words, check=False).stdout
        found = [json.loads(line) for line in done.splitlines() if line.startswith("{")]
        return found if len(found) >= 6 else []

    hits = until(said, seconds=60, what="lines of both machines")
    assert {(h["node"], h["text"]) for h in hits} == {
        (name, f"said on {name} {i}") for name in (first.name, second.name) for i in (1, 2, 3)
    }
    for pid in second.cluster.pids("gateway"):
        os.kill(pid, signal.SIGKILL)
    talker = pod("talker-2", second.name)
    talker["metadata"]["labels"] = {"app": "talker"}
    talker["spec"]["containers"][0]["command"] = ["sh", "-c", "echo said on later; sleep 1000"]
    apply(first, talker)
    until(lambda: len(said()) == 7, seconds=60, what="a line after the kill")
    assert len({(h["pod"], h["text"]) for h in said()}) == 7, "nothing twice"


def test_the_first_machine_knows_the_joined_one(machines: Pair) -> None:
    first, second = machines
    listed = json.loads(first.cluster.tiphys("node", "list", "-o", "json").stdout)["items"]
    assert {(i["name"], i["address"], i["status"]) for i in listed} == {
        (first.name, first.address, "Ready"),
        (second.name, second.address, "Ready"),
    }
    second.cluster.tiphys("stop")
    first.cluster.tiphys("node", "delete", second.name, "--force")
    names = [n["metadata"]["name"] for n in first.cluster.get("nodes")["items"]]
    assert names == [first.name]


def test_delete_leaves_nothing_of_the_cluster(machines: Pair) -> None:
    for machine in reversed(machines):
        machine.cluster.tiphys("delete")
        assert machine.run("ip", "-4", "-br", "addr", "show", "lo").split()[2:] == ["127.0.0.1/8"]
        links = machine.run("ip", "-br", "link").split("\n")
        assert {line.split("@")[0].split()[0] for line in links if line} == {"lo", "eth0"}
        routes = machine.run("ip", "route").strip().split("\n")
        assert [r.split()[0] for r in routes] == ["172.31.77.0/24"]
        assert machine.run("nft", "list", "tables").strip() == ""
        assert machine.run("cat", "/proc/sys/net/ipv4/ip_forward").strip() == "0"
        assert not (machine.cluster.home / "state" / machine.name).exists()
