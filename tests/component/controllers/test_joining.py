"""A machine with nothing but a token becomes a node: discovery, certificate, its own renewal."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from support.client_rig import Rig, Tell
from tiphys.api.errors import Forbidden, NotFound, Unauthorized
from tiphys.api.meta import GroupVersionResource, Obj, at
from tiphys.client.component import run_controllers
from tiphys.client.controller import Context, Controller
from tiphys.client.rest import Client
from tiphys.cluster import discovery, join_addons, join_tokens
from tiphys.cluster.profile import Node, Profile, Roots
from tiphys.controllers.bootstrap_signer import BootstrapSigner
from tiphys.controllers.certificate_approving import CertificateApprovingController
from tiphys.controllers.certificate_authority import Authority
from tiphys.controllers.certificate_signing import CertificateSigningController, signers
from tiphys.controllers.kinds import CERTIFICATE_SIGNING_REQUESTS, CONFIG_MAPS, NODES, SECRETS
from tiphys.controllers.kubelet_serving_approving import KubeletServingApprovingController
from tiphys.controllers.token_cleaner import TokenCleaner
from tiphys.kubelet.certificate_request import CLIENT_SIGNER, SERVING_SIGNER, Wanted, obtain
from tiphys.lib.clock import SystemClock
from tiphys.lib.tasks import TaskSet

TOKEN = "abcdef.0123456789abcdef"
NODE = "joined"
ADDRESS = "10.1.2.3"


async def until(check: Callable[[], Awaitable[Any]]) -> Any:
    while True:
        if found := await check():
            return found
        await asyncio.sleep(0.02)


def a_profile(directory: Path) -> Profile:
    """As a cluster that listens; the rig has one authority for everything."""
    roots = Roots(directory, directory)
    profile = Profile(
        "p", roots, 6443, "192.168.49.0/24", "10.244.0.0/16", "10.96.0.0/16", "192.168.49.128/25"
    )
    profile.pki.mkdir(parents=True)
    for name in ("ca.crt", "client-ca.crt"):
        (profile.pki / name).write_bytes((directory / "ca.crt").read_bytes())
    return replace(profile, listen="127.0.0.1", nodes=(Node("first", "127.0.0.1"),))


@asynccontextmanager
async def cluster(rig: Rig) -> AsyncIterator[Client]:
    """Our controllers and kubeadm's objects; the administrator's client."""
    admin, tasks = rig.direct(), TaskSet()
    for path, obj in join_addons.manifests(a_profile(rig.directory)):
        await admin.request("POST", path, obj)
    authority = Authority(rig.authority.cert, rig.authority.key)
    by_name = signers(authority, authority)
    make: list[Callable[[Context], Controller]] = [
        BootstrapSigner,
        TokenCleaner,
        CertificateApprovingController,
        KubeletServingApprovingController,
        lambda context: CertificateSigningController(context, by_name, 3600.0),
    ]
    running = run_controllers(admin, SystemClock(), lambda context: [m(context) for m in make], [])
    tasks.start(running, "controllers")
    try:
        yield admin
    finally:
        await tasks.close()


async def make_token(admin: Client, life: timedelta = timedelta(hours=1)) -> None:
    token = join_tokens.Token(TOKEN, datetime.now(UTC) + life)
    await admin.create(SECRETS, join_tokens.secret_of(token))


def test_a_machine_with_a_token_gets_a_nodes_certificate(tell: Tell) -> None:
    async def story(rig: Rig) -> None:
        async with cluster(rig) as admin:
            await make_token(admin)
            nobody, machine = rig.anonymous(), rig.with_token(TOKEN)

            async def found() -> discovery.Found | None:
                info = await nobody.get(CONFIG_MAPS, "cluster-info", "kube-public")
                try:
                    return discovery.found_in(info["data"], TOKEN, [])
                except discovery.NotSignedYet:
                    return None

            assert (await until(found)).ca_pem == (rig.directory / "ca.crt").read_bytes()
            known = await machine.get(CONFIG_MAPS, join_addons.CONFIG_NAME, "kube-system")
            assert json.loads(known["data"][join_addons.CONFIG_KEY])["podSubnet"] == "10.244.0.0/16"
            with pytest.raises(Forbidden):
                await machine.list(SECRETS, "kube-system")
            pem = await obtain(machine, Wanted(CLIENT_SIGNER, NODE), SystemClock())
            node = rig.with_certificate(pem)
            with pytest.raises(Forbidden):
                await node.list(SECRETS, "kube-system")
            # NodeRestriction: itself and nobody else.
            await node.create(NODES, a_node("joined"), "")
            with pytest.raises(Forbidden):
                await node.create(NODES, a_node("another"), "")
            # It renews its certificate without the token.
            again = await obtain(node, Wanted(CLIENT_SIGNER, NODE), SystemClock())
            assert again != pem

    tell(story)


def a_node(name: str) -> Obj:
    addresses = [{"type": "InternalIP", "address": ADDRESS}]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name},
        "status": {"addresses": addresses},
    }


def test_a_nodes_server_is_named_after_the_node(tell: Tell) -> None:
    async def story(rig: Rig) -> None:
        async with cluster(rig) as admin:
            await make_token(admin)
            clock = SystemClock()
            machine = rig.with_token(TOKEN)
            node = rig.with_certificate(await obtain(machine, Wanted(CLIENT_SIGNER, NODE), clock))
            await node.create(NODES, a_node(NODE), "")
            wanted = Wanted(SERVING_SIGNER, NODE, (NODE, ADDRESS))
            found = x509.load_pem_x509_certificate(await obtain(node, wanted, clock))
            names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            assert [str(n.value) for n in names] == [NODE, ADDRESS]
            posing = Wanted(SERVING_SIGNER, NODE, ("kubernetes", "10.96.0.1"))
            with pytest.raises(TimeoutError):
                await obtain(node, posing, clock, 1.0)

    tell(story)


def test_a_token_review_knows_bootstrap_tokens(tell: Tell) -> None:
    async def story(rig: Rig) -> None:
        async with cluster(rig) as admin:
            await make_token(admin)
            for audiences, expected in (([], True), (["somebody"], None)):
                spec = {"token": TOKEN, "audiences": audiences}
                answer = await admin.create(
                    GroupVersionResource("authentication.k8s.io", "v1", "tokenreviews"),
                    {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec},
                    "",
                )
                assert at(answer, "status", "authenticated") is expected

    tell(story)


def test_a_token_that_ends_is_removed_and_good_for_nothing(tell: Tell) -> None:
    async def story(rig: Rig) -> None:
        async with cluster(rig) as admin:
            await make_token(admin, timedelta(seconds=2))
            machine = rig.with_token(TOKEN)
            await machine.get(CONFIG_MAPS, join_addons.CONFIG_NAME, "kube-system")

            async def is_gone() -> bool:
                try:
                    await admin.get(SECRETS, "bootstrap-token-abcdef", "kube-system")
                except NotFound:
                    return True
                return False

            await until(is_gone)
            with pytest.raises(Unauthorized):
                await machine.get(CONFIG_MAPS, join_addons.CONFIG_NAME, "kube-system")

            async def is_unsigned() -> bool:
                info = await admin.get(CONFIG_MAPS, "cluster-info", "kube-public")
                return list(info["data"]) == ["kubeconfig"]

            await until(is_unsigned)

    tell(story)


def test_a_request_that_no_signer_takes_fails_with_the_reason(tell: Tell) -> None:
    async def story(rig: Rig) -> None:
        async with cluster(rig) as admin:
            await make_token(admin)
            machine = rig.with_token(TOKEN)
            request = await machine.create(CERTIFICATE_SIGNING_REQUESTS, not_a_nodes(), "")
            approved = {"type": "Approved", "status": "True", "reason": "byHand"}
            request["status"] = {"conditions": [approved]}
            with pytest.raises(Forbidden):
                await machine.update(CERTIFICATE_SIGNING_REQUESTS, request, "", "approval")
            await admin.update(CERTIFICATE_SIGNING_REQUESTS, request, "", "approval")

            async def has_failed() -> bool:
                found = await admin.get(CERTIFICATE_SIGNING_REQUESTS, "csr-x")
                conditions = at(found, "status", "conditions", default=[])
                return [c.get("message") for c in conditions if c["type"] == "Failed"] == [
                    "subject organization is not system:nodes"
                ]

            await until(has_failed)

    tell(story)


def not_a_nodes() -> Obj:
    from tiphys.lib import certificate_request

    pem = certificate_request.make(certificate_request.new_key(), "system:node:x", ["others"])
    return {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": "csr-x"},
        "spec": {
            "request": base64.b64encode(pem).decode(),
            "signerName": CLIENT_SIGNER,
            "usages": ["client auth"],
        },
    }
