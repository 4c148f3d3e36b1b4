"""Brings a program's image into the cluster and waits until its URL answers with it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

from tiphys.api.errors import ApiError, NotFound
from tiphys.api.meta import GroupVersionResource, Obj, at, name_of
from tiphys.cli.output import CommandError
from tiphys.client.rest import Client
from tiphys.cluster import access, app_objects, listening
from tiphys.cluster.profile import Node, Profile
from tiphys.cri.client import CriClient
from tiphys.cri.errors import CriError

DEPLOYMENTS: Final = GroupVersionResource("apps", "v1", "deployments")
SERVICES: Final = GroupVersionResource("", "v1", "services")
PODS: Final = GroupVersionResource("", "v1", "pods")
SLICES: Final = GroupVersionResource("discovery.k8s.io", "v1", "endpointslices")
POLL_SECONDS: Final = 0.03
LOG_LINES: Final = 15
LOG_SECONDS: Final = 1.0


@dataclass(frozen=True)
class Target:
    """Where a program runs. port 0: the one that it listens on."""

    profile: Profile
    name: str
    namespace: str
    port: int
    seconds: float


@asynccontextmanager
async def connected(profile: Profile) -> AsyncIterator[Client]:
    client = Client.from_kubeconfig(access.path_for(profile, "admin"), user_agent="tiphys-run")
    try:
        yield client
    finally:
        client.close()


async def roll_out(client: Client, target: Target, image: str) -> str:
    """The URL at which the new image answers. Raises: CommandError, ApiError."""
    env = {"PORT": str(target.port or app_objects.PORT)}
    wanted = app_objects.deployment(target.name, target.namespace, image, env)
    await _apply(client, DEPLOYMENTS, wanted)
    try:
        async with asyncio.timeout(target.seconds):
            labels = wanted["spec"]["template"]["metadata"]["labels"]
            pod = await _running(client, target, labels[app_objects.REVISION])
            port = await _listening(client, target, pod)
            service = app_objects.service(target.name, target.namespace, port)
            stored = await _apply(client, SERVICES, service)
            await _serving(client, target, name_of(pod))
            return await _url(_node(target, pod).address, stored)
    except TimeoutError as exc:
        raise CommandError(
            f"{target.name} does not answer after {target.seconds:g} s",
            fix=f"kubectl -n {target.namespace} describe deployment {target.name}",
            reason="RUN_NO_ANSWER",
        ) from exc


async def _apply(client: Client, gvr: GroupVersionResource, obj: Obj) -> Obj:
    """Create it, or change ours. Raises: CommandError for somebody else's of the name."""
    name, namespace = name_of(obj), obj["metadata"]["namespace"]
    try:
        old = await client.get(gvr, name, namespace)
    except NotFound:
        return await client.create(gvr, obj)
    if not app_objects.is_ours(old):
        raise CommandError(
            f"there is a {obj['kind'].lower()} {namespace}/{name} that `tiphys run` did not make",
            fix="choose another name: --name NAME",
            reason="RUN_NOT_OURS",
        )
    patch = {"metadata": {"labels": obj["metadata"]["labels"]}, "spec": obj["spec"]}
    return await client.patch(gvr, name, patch, namespace, kind="merge")


async def _running(client: Client, target: Target, revision: str) -> Obj:
    """The pod of the revision, once it is ready. Raises: CommandError when it will not be."""
    selector = f"{app_objects.NAME}={target.name},{app_objects.REVISION}={revision}"
    while True:
        listed = await client.list(PODS, target.namespace, label_selector=selector)
        for pod in listed.get("items") or []:
            if "deletionTimestamp" in pod["metadata"]:
                continue
            await _raise_failure(client, target, pod)
            if app_objects.is_ready(pod):
                return dict(pod)
        await asyncio.sleep(POLL_SECONDS)


async def _raise_failure(client: Client, target: Target, pod: Obj) -> None:
    why = app_objects.failure(pod)
    if why:
        log = await _log(client, target, name_of(pod))
        raise CommandError(
            f"{target.name}: {why}{log}",
            fix="it must go on and serve a TCP port",
            reason="RUN_NO_ANSWER",
        )


async def _log(client: Client, target: Target, pod: str) -> str:
    """Its last lines; those of the run before, when it has been started again meanwhile.

    Between two runs the kubelet may have neither for a moment.
    """
    path = f"/api/v1/namespaces/{target.namespace}/pods/{pod}/log"
    with suppress(TimeoutError):
        async with asyncio.timeout(LOG_SECONDS):
            while True:
                for previous in (False, True):
                    if lines := await _lines(client, path, previous=previous):
                        return "".join(f"\n    {line}" for line in lines)
                await asyncio.sleep(POLL_SECONDS)
    return ""


async def _lines(client: Client, path: str, *, previous: bool) -> list[str]:
    query = {"tailLines": LOG_LINES, "previous": previous}
    try:
        answer = await client.raw("GET", path, query=query)
    except ApiError:
        return []
    return answer.body.decode(errors="replace").splitlines()


async def _listening(client: Client, target: Target, pod: Obj) -> int:
    """The port that the program listens on. Raises: CommandError."""
    while True:
        found = listening.ports(await _pid(target, pod))
        open_ports = [one.number for one in found if not one.loopback]
        if target.port in open_ports or (open_ports and not target.port):
            return target.port or open_ports[0]
        if found and all(one.loopback for one in found):
            raise CommandError(
                f"{target.name} listens on 127.0.0.1:{found[0].number} only, where nobody "
                "outside of its pod reaches it",
                fix='bind to "0.0.0.0" or ""',
                reason="RUN_LOOPBACK",
            )
        await _raise_failure(client, target, await client.get(PODS, name_of(pod), target.namespace))
        await asyncio.sleep(POLL_SECONDS)


def _node(target: Target, pod: Obj) -> Node:
    """The machine that the pod is on. Raises: CommandError when it is not one of this machine's."""
    name = at(pod, "spec", "nodeName", default="")
    for node in target.profile.nodes:
        if node.name == name:
            return node
    raise CommandError(
        f"{target.name} runs on {name}, which is not on this machine", reason="RUN_NO_ANSWER"
    )


async def _pid(target: Target, pod: Obj) -> int:
    """The process of the pod's container on this machine; 0 when it does not run just now."""
    rows: list[dict[str, Any]] = at(pod, "status", "containerStatuses", default=[])
    if not rows:
        return 0
    directory = target.profile.node_run_directory(_node(target, pod))
    client = CriClient(str(directory / "runtime.sock"))
    identity = rows[0].get("containerID", "").rpartition("/")[2]
    try:
        asked = {"container_id": identity, "verbose": True}
        answer = await client.call("ContainerStatus", asked)
        return int((answer.get("info") or {}).get("pid", 0))
    except CriError:
        return 0
    finally:
        client.close()


async def _serving(client: Client, target: Target, pod: str) -> None:
    """Until requests go to the new pod alone."""
    selector = f"kubernetes.io/service-name={target.name}"
    while True:
        slices = await client.list(SLICES, target.namespace, label_selector=selector)
        if app_objects.serves_only(slices, pod):
            return
        await asyncio.sleep(POLL_SECONDS)


async def _url(node: str, service: Obj) -> str:
    """Of the node port at a node's address, once it takes connections."""
    port = int(service["spec"]["ports"][0]["nodePort"])
    while True:
        try:
            _, writer = await asyncio.open_connection(node, port)
        except OSError:
            await asyncio.sleep(POLL_SECONDS)
            continue
        writer.close()
        return f"http://{node}:{port}"


async def remove(client: Client, name: str, namespace: str) -> bool:
    """Take Deployment and Service away; whether there were any. Raises: ApiError."""
    found = False
    for gvr in (DEPLOYMENTS, SERVICES):
        with suppress(NotFound):
            if app_objects.is_ours(await client.get(gvr, name, namespace)):
                await client.delete(gvr, name, namespace, propagation="Background")
                found = True
    return found
