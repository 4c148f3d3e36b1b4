"""Exec and logs of a real container by the clients of the field, each in its way of streaming."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import kr8s
import pytest
from kr8s.objects import Pod
from kubernetes import client as official
from kubernetes import config as official_config
from kubernetes.stream import stream
from kubernetes_asyncio import client as asynchronous
from kubernetes_asyncio import config as asynchronous_config
from kubernetes_asyncio.stream import WsApiClient
from lightkube import Client, KubeConfig

from e2e.clusters import Cluster, until

COMMAND = ["sh", "-c", "echo out of $HOSTNAME; cat"]


@pytest.fixture
def pod(cluster: Cluster, namespace: str) -> str:
    """A pod `p` that has said something; returns its namespace."""
    container = {
        "name": "c",
        "image": "busybox",
        "command": ["sh", "-c", "echo begun; sleep 3600"],
    }
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p"},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [container]},
    }
    cluster.kubectl("-n", namespace, "create", "-f", "-", stdin=json.dumps(body))
    until(lambda: cluster.get("pod", "p", "-n", namespace)["status"]["phase"] == "Running")
    return namespace


def by_official(cluster: Cluster, namespace: str) -> tuple[str, str]:
    api_client = official_config.new_client_from_config(str(cluster.kubeconfig))
    core = official.CoreV1Api(api_client)
    log = core.read_namespaced_pod_log("p", namespace)
    # `stream` changes the client that it is given.
    other = official.CoreV1Api(official_config.new_client_from_config(str(cluster.kubeconfig)))
    shell = stream(
        other.connect_get_namespaced_pod_exec,
        *("p", namespace),
        command=COMMAND,
        stdin=True,
        stdout=True,
        stderr=True,
        tty=False,
        _preload_content=False,
    )
    shell.write_stdin("typed\n")
    found = ""
    while "typed" not in found:
        shell.update(timeout=10)
        found += shell.read_stdout()
    shell.close()
    return log, found


def by_kubernetes_asyncio(cluster: Cluster, namespace: str) -> tuple[str, str]:
    async def story() -> tuple[str, str]:
        configuration = asynchronous.Configuration()
        await asynchronous_config.load_kube_config(
            str(cluster.kubeconfig), client_configuration=configuration
        )
        async with asynchronous.ApiClient(configuration) as plain:
            core = asynchronous.CoreV1Api(plain)
            log = await core.read_namespaced_pod_log("p", namespace)
        async with WsApiClient(configuration) as streaming:
            found = await asynchronous.CoreV1Api(streaming).connect_get_namespaced_pod_exec(
                "p", namespace, command=["sh", "-c", "echo out of $HOSTNAME; echo typed"],
                stdin=False, stdout=True, stderr=True, tty=False,
            )  # fmt: skip
        return log, found

    return asyncio.run(story())


def by_kr8s(cluster: Cluster, namespace: str) -> tuple[str, str]:
    api = kr8s.api(kubeconfig=str(cluster.kubeconfig))
    found = Pod.get("p", namespace=namespace, api=api)
    done = found.exec(["sh", "-c", "echo out of $HOSTNAME; echo typed"])
    return "\n".join([*found.logs(), ""]), done.stdout.decode()


def by_lightkube(cluster: Cluster, namespace: str) -> tuple[str, str]:
    client = Client(KubeConfig.from_file(str(cluster.kubeconfig)), namespace=namespace)
    done = client.exec("p", command=COMMAND, stdin="typed\n", stdout=True, timeout=20)
    return "".join(client.log("p", newlines=True)), str(done.stdout)


@pytest.mark.parametrize("ask", [by_official, by_kubernetes_asyncio, by_kr8s, by_lightkube])
def test_exec_of_every_client(
    cluster: Cluster, pod: str, ask: Callable[[Cluster, str], tuple[str, Any]]
) -> None:
    log, said = ask(cluster, pod)
    assert log == "begun\n"
    assert said == "out of p\ntyped\n"
