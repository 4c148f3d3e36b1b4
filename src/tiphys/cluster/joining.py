"""A machine becomes a node: it finds the cluster, asks for a certificate, writes down both.

Upstream: cmd/kubeadm/app/cmd/phases/join (preflight, kubelet), TLS bootstrapping of the kubelet.
"""

import json
import socket
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from tiphys.api.errors import ApiError, NotFound
from tiphys.api.meta import GroupVersionResource, condition
from tiphys.cli.output import CommandError
from tiphys.client.kubeconfig import Access
from tiphys.client.rest import Client
from tiphys.cluster import access, discovery
from tiphys.cluster.join_addons import CONFIG_KEY, CONFIG_NAME
from tiphys.cluster.profile import Node, Profile, Roots
from tiphys.kubelet import certificate_request, certificate_store
from tiphys.lib.clock import Clock
from tiphys.lib.logs import Secret

CONFIG_MAPS: Final = GroupVersionResource("", "v1", "configmaps")
NODES: Final = GroupVersionResource("", "v1", "nodes")
SIGNED_SECONDS_MAX: Final = 30.0  # For the cluster to sign with a token that was just made.
CERTIFICATE_SECONDS_MAX: Final = 120.0
_POLL_SECONDS: Final = 0.3
_ANY_PORT: Final = 9  # Of a datagram that is never sent.


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user asks for. No pins: the token alone proves which cluster it is."""

    server: str
    token: str
    pins: Collection[str]
    node_name: str
    node_ip: str = ""


@dataclass(frozen=True, slots=True)
class Joined:
    """The machine's profile, and what it has been given."""

    profile: Profile
    ca: bytes
    client_ca: bytes
    certificate: bytes  # With its key, PEM.


async def join(name: str, roots: Roots, wish: Wish, clock: Clock) -> Joined:
    """Raises one of FAILURES, or CommandError."""
    found = await discover(wish, clock)
    client = Client(
        Access(server=found.server, ca_data=found.ca_pem, token=Secret(wish.token)),
        user_agent="tiphys-join",
    )
    try:
        await _check_name_is_free(client, wish.node_name)
        answer = await client.get(CONFIG_MAPS, CONFIG_NAME, "kube-system")
        known = json.loads(answer["data"][CONFIG_KEY])
        node = Node(wish.node_name, wish.node_ip or address_towards(found.server))
        profile = profile_of(name, roots, node, found.server, known)
        wanted = certificate_request.Wanted(certificate_request.CLIENT_SIGNER, wish.node_name)
        pem = await certificate_request.obtain(client, wanted, clock, CERTIFICATE_SECONDS_MAX)
    finally:
        client.close()
    return Joined(profile, found.ca_pem, known["clientCA"].encode(), pem)


async def discover(wish: Wish, clock: Clock) -> discovery.Found:
    """Ask without trust, check, then ask again with it. Raises DiscoveryError, ApiError."""
    deadline = clock.monotonic() + SIGNED_SECONDS_MAX
    while True:
        data = await _cluster_info(Access(server=wish.server, insecure=True))
        try:
            found = discovery.found_in(data, wish.token, wish.pins)
            break
        except discovery.NotSignedYet:
            if clock.monotonic() >= deadline:
                raise
        await clock.sleep(_POLL_SECONDS)
    again = await _cluster_info(Access(server=found.server, ca_data=found.ca_pem))
    if again.get("kubeconfig") != found.kubeconfig:
        raise discovery.DiscoveryError("the cluster says one thing before and one after the check")
    return found


async def _cluster_info(how: Access) -> dict[str, str]:
    client = Client(how, user_agent="tiphys-join")
    try:
        return (await client.get(CONFIG_MAPS, "cluster-info", "kube-public")).get("data") or {}
    finally:
        client.close()


async def _check_name_is_free(client: Client, name: str) -> None:
    """As kubeadm: a node that is alive is not replaced. Raises CommandError, ApiError."""
    try:
        node = await client.get(NODES, name)
    except NotFound:
        return
    if (condition(node, "Ready") or {}).get("status") == "True":
        raise CommandError(
            f'the cluster has a node "{name}" already, and it is Ready',
            fix="choose another name with --node-name",
            reason="JOIN_NAME_TAKEN",
        )


def address_towards(server: str) -> str:
    """This machine's address on the way to a server. Raises OSError where there is no way."""
    host = urlsplit(server).hostname or ""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.connect((host, _ANY_PORT))
        return str(asking.getsockname()[0])


def profile_of(name: str, roots: Roots, node: Node, server: str, known: dict[str, str]) -> Profile:
    """known: what the cluster says of itself. Raises CommandError when something is missing."""
    try:
        return Profile(
            name=name,
            roots=roots,
            api_port=0,
            node_cidr=known["loadBalancerPool"],
            pod_cidr=known["podSubnet"],
            service_cidr=known["serviceSubnet"],
            load_balancer_pool=known["loadBalancerPool"],
            nodes=(node,),
            overlay=known["overlay"],
            proxy_mode=known["proxyMode"],
            joined_server=server,
            external_cloud=bool(known.get("externalCloud")),
        )
    except KeyError as exc:
        raise CommandError(
            f"the cluster does not tell its {exc.args[0]}",
            fix="use the same version of tiphys on both machines",
            reason="JOIN_REFUSED",
        ) from exc


def write(joined: Joined, now: datetime) -> None:
    """From here on the machine has a profile. Raises OSError."""
    profile = joined.profile
    profile.pki.mkdir(parents=True, exist_ok=True, mode=0o700)
    (profile.pki / "ca.crt").write_bytes(joined.ca)
    (profile.pki / "client-ca.crt").write_bytes(joined.client_ca)
    certificate_store.save(profile.pki, certificate_store.CLIENT, joined.certificate, now)
    current = certificate_store.current(profile.pki, certificate_store.CLIENT)
    access.write_joined(profile, current)
    profile.save()


def check_certificate(profile: Profile, now: datetime) -> None:
    """Raises CommandError when the node's certificate is missing or has ended."""
    found = certificate_store.load(profile.pki, certificate_store.CLIENT)
    if found is not None and now < found.not_valid_after_utc:
        return
    what = "is missing" if found is None else f"ended on {found.not_valid_after_utc:%Y-%m-%d}"
    raise CommandError(
        f"the certificate of node {profile.nodes[0].name} {what}: the cluster no longer knows us",
        fix=f"`tiphys delete -p {profile.name}`, then `tiphys join` with a new token",
        reason="JOIN_CERTIFICATE",
    )


FAILURES: Final = (
    ApiError,
    discovery.DiscoveryError,
    certificate_request.CertificateRefused,
    TimeoutError,
    OSError,
)
