"""Clusters over TLS with clients outside: ways in, faults, restarts, waiting, stories."""

import asyncio
import json
import ssl
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tiphys.api.errors import ApiError, Conflict, ServiceUnavailable, TooManyRequests
from tiphys.api.meta import GroupVersionResource, name_of
from tiphys.client.informer import Informer
from tiphys.client.rest import Client
from tiphys.client.watch import watch
from tiphys.testing import Cluster, ClusterError, RuleError, WaitFailed
from tiphys.testing.kinds import BUILT_IN, served
from tiphys.testing.rules import ANNOTATION

CONFIG_MAPS = GroupVersionResource("", "v1", "configmaps")
JOBS = GroupVersionResource("batch", "v1", "jobs")
PODS = GroupVersionResource("", "v1", "pods")


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster() as running:
        yield running


def a_pod(name: str, rule: str = "running") -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "annotations": {ANNOTATION: rule}},
        "spec": {"containers": [{"name": "main", "image": "nginx"}]},
    }


def a_config_map(name: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": "1"}}


def told(cluster: Cluster, story: Any) -> Any:
    """Run a coroutine function with a client of its own, in an event loop of its own."""

    async def run() -> Any:
        client = cluster.client()
        try:
            return await story(client)
        finally:
            client.close()

    return asyncio.run(run())


def test_kubectl_sees_a_ready_cluster(cluster: Cluster, tmp_path: Path) -> None:
    command = ["kubectl", "--kubeconfig", str(cluster.kubeconfig), "--cache-dir", str(tmp_path)]
    nodes = subprocess.run(
        [*command, "get", "nodes"], capture_output=True, text=True, timeout=60, check=True
    )
    assert "node-1" in nodes.stdout
    assert " Ready " in nodes.stdout
    created = subprocess.run(
        [*command, "create", "deployment", "web", "--image=nginx", "--replicas=2"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert created.stdout == "deployment.apps/web created\n"
    rollout = subprocess.run(
        [*command, "rollout", "status", "deployment/web", "--timeout=20s"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert 'deployment "web" successfully rolled out' in rollout.stdout


def test_url_ca_and_token_are_enough(cluster: Cluster) -> None:
    context = ssl.create_default_context(cafile=str(cluster.ca))
    request = urllib.request.Request(
        f"{cluster.url}/api/v1/nodes", headers={"Authorization": f"Bearer {cluster.token}"}
    )
    with urllib.request.urlopen(request, context=context, timeout=20) as answer:
        found = json.load(answer)
    assert [n["metadata"]["name"] for n in found["items"]] == ["node-1"]


def test_nothing_is_left(tmp_path: Path) -> None:
    before = threading.active_count()
    cluster = Cluster().start()
    config, port = cluster.kubeconfig, cluster.plane.port
    assert config.exists()
    cluster.stop()
    assert not config.exists()
    assert threading.active_count() == before
    with pytest.raises(OSError, match=r"refused|reset"):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5)
    with pytest.raises(ClusterError, match="does not run"):
        _ = cluster.url
    cluster.stop()


def test_waiting_fails_with_a_story(cluster: Cluster) -> None:
    cluster.objects.create(a_pod("stuck", "never ImagePullBackOff"))
    cluster.wait_for("pod/stuck", lambda pod: pod["status"].get("containerStatuses"))
    cluster.wait_for(lambda: "Scheduled" in {e["reason"] for e in cluster.objects.list("events")})
    with pytest.raises(WaitFailed) as failed:
        cluster.wait_for("pod/stuck", "Ready", within="300ms")
    text = str(failed.value)
    assert "waited 0.3 s for pod/stuck to be Ready; instead:" in text
    assert "container main waits: ImagePullBackOff" in text
    assert "Scheduled pod/stuck: Successfully assigned default/stuck to node-1" in text
    assert "created pods/default/stuck" in text


def test_waiting_for_more_than_conditions(cluster: Cluster) -> None:
    cluster.objects.create([a_pod("a"), a_pod("b", "starts after 100ms")])
    cluster.wait_for("pod/a", "phase=Running")
    assert cluster.wait_for(lambda: len(cluster.objects.list("pods")) == 2)
    cluster.wait_for("po/b", lambda pod: pod["status"].get("podIP"))
    cluster.objects.delete("pod", "a")
    cluster.wait_for("pod/a", "deleted")
    with pytest.raises(LookupError, match='there is no kind "gadget"'):
        cluster.wait_for("gadget/a")


def test_kinds_come_from_discovery_too(cluster: Cluster) -> None:
    """What the server tells of a group means the same as the table of built-in kinds."""
    found = cluster.call(served(cluster.plane.client, "apps", "v1"))
    assert found
    assert set(found) <= set(BUILT_IN)
    with pytest.raises(LookupError, match="no API serves kind 'Gadget'"):
        cluster.objects.create({"apiVersion": "example.com/v1", "kind": "Gadget"})
    assert cluster.objects.find("deployment.apps", "none") is None


def test_rules_from_python_count_before_the_annotation(cluster: Cluster) -> None:
    cluster.pods.rule("unready", name="a")
    cluster.objects.create(a_pod("a", "running"))
    cluster.wait_for("pod/a", "phase=Running")
    assert cluster.objects.get("pod", "a")["status"]["containerStatuses"][0]["ready"] is False
    cluster.pods.rule("exit 3 after 10ms", name="a")
    cluster.wait_for(
        "pod/a", lambda pod: pod["status"]["containerStatuses"][0].get("restartCount", 0) > 0
    )
    with pytest.raises(RuleError, match="is no rule"):
        cluster.pods.rule("sleepy")


def test_logs_are_what_the_test_says(cluster: Cluster) -> None:
    async def log(client: Client, query: dict[str, int] | None = None) -> str:
        path = "/api/v1/namespaces/default/pods/a/log"
        return (await client.raw("GET", path, query=query)).body.decode()

    pod = a_pod("a")
    pod["metadata"]["annotations"]["testing.tiphys.io/log"] = "from the annotation"
    cluster.objects.create(pod)
    cluster.wait_for("pod/a", "Ready")
    assert told(cluster, log) == "from the annotation\n"
    cluster.pods.log("a", "one\ntwo\nthree")
    assert told(cluster, log) == "one\ntwo\nthree\n"
    assert told(cluster, lambda client: log(client, {"tailLines": 2})) == "two\nthree\n"


def test_conflicts_and_refusals_come_as_often_as_asked(cluster: Cluster) -> None:
    async def story(client: Client) -> list[type]:
        found = await client.create(CONFIG_MAPS, a_config_map("a"))
        seen: list[type] = []
        for _ in range(3):
            try:
                found = await client.update(CONFIG_MAPS, found)
                seen.append(dict)
            except ApiError as error:
                seen.append(type(error))
        return seen

    conflict = cluster.faults.conflict("configmaps", times=1)
    busy = cluster.faults.fail(429, "configmaps", "update", times=1, retry_after="3s")
    assert told(cluster, story) == [Conflict, TooManyRequests, dict]
    assert (conflict.hits, busy.hits) == (1, 1)


def test_a_fault_ends_with_its_block_and_spares_components(cluster: Cluster) -> None:
    async def listed(client: Client) -> int:
        return len((await client.list(PODS))["items"])

    with cluster.faults.fail(503) as down:
        with pytest.raises(ServiceUnavailable, match="injected fault: 503"):
            told(cluster, listed)
        cluster.objects.create(a_pod("a"))
        cluster.wait_for("pod/a", "Ready")
    assert down.hits == 1
    assert told(cluster, listed) == 1


def test_a_lost_answer_is_work_done(cluster: Cluster) -> None:
    async def create(client: Client) -> None:
        await client.create(CONFIG_MAPS, a_config_map("a"))

    cluster.faults.drop("configmaps", "create", after=True)
    with pytest.raises(ServiceUnavailable, match="the connection was closed"):
        told(cluster, create)
    assert cluster.objects.get("configmap", "a")["data"] == {"a": "1"}
    cluster.objects.delete("configmap", "a")
    cluster.faults.drop("configmaps", "create")
    with pytest.raises(ServiceUnavailable, match="the connection was closed"):
        told(cluster, create)
    assert "a" not in cluster.objects.names("configmaps")


def test_a_delay_is_of_the_clusters_time(cluster: Cluster) -> None:
    async def story(client: Client) -> None:
        async with asyncio.timeout(20):
            listing = asyncio.get_running_loop().create_task(client.list(PODS))
            await asyncio.to_thread(cluster.wait_for, lambda: fault.hits)
            await asyncio.to_thread(cluster.clock.advance, "1h")
            assert (await listing)["items"] == []

    fault = cluster.faults.delay("1h", "pods", "list")
    told(cluster, story)


@pytest.mark.parametrize("how", ["expire", "drop"])
def test_watches_end_on_demand(cluster: Cluster, how: str) -> None:
    async def story(client: Client) -> str:
        events = watch(client, "/api/v1/namespaces/default/pods", {"resourceVersion": "0"})
        cluster.objects.create(a_pod("a"))
        async with asyncio.timeout(20):
            await anext(events)
            cut = cluster.faults.expire_watches if how == "expire" else cluster.faults.drop_watches
            assert cut("pods") == 1
            try:
                async for _ in events:
                    pass
            except ApiError as error:
                return error.reason
        return "ended"

    assert told(cluster, story) == ("Expired" if how == "expire" else "ServiceUnavailable")


def test_the_api_server_restarts_with_what_it_holds(cluster: Cluster) -> None:
    cluster.objects.create(a_pod("a"))
    cluster.wait_for("pod/a", "Ready")
    url = cluster.url
    cluster.faults.restart_api_server(down="50ms")
    assert cluster.url == url
    assert cluster.objects.names("pods") == ["a"]
    # The components have found it again.
    cluster.objects.create(a_pod("b"))
    cluster.wait_for("pod/b", "Ready")


def test_nodes_join_with_labels_and_room(cluster: Cluster) -> None:
    cluster.nodes.add("gpu", labels={"kind": "gpu"}, capacity={"nvidia.com/gpu": "2"})
    cluster.wait_for("node/gpu", "Ready")
    pod = a_pod("training")
    pod["spec"]["containers"][0]["resources"] = {"limits": {"nvidia.com/gpu": "2"}}
    cluster.objects.create(pod)
    cluster.wait_for("pod/training", "Ready")
    assert cluster.objects.get("pod", "training")["spec"]["nodeName"] == "gpu"
    with pytest.raises(LookupError, match="no simulated node"):
        cluster.nodes.power_off("node-9")


def test_frozen_waiting_ends_wherever_time_stands(cluster: Cluster) -> None:
    """Sums of floats fall short of their sum: the end is met all the same."""
    cluster.clock.advance("3h17m")
    cluster.clock.freeze()
    before = cluster.clock.now()
    with pytest.raises(WaitFailed, match=r"waited 2\.3 s for the condition"):
        cluster.wait_for(lambda: False, within="2300ms")
    assert (cluster.clock.now() - before).total_seconds() == pytest.approx(2.3, abs=1e-5)


def test_time_flows_unless_frozen(cluster: Cluster) -> None:
    before = cluster.clock.now()
    cluster.clock.advance("1h")
    assert (cluster.clock.now() - before).total_seconds() >= 3600
    cluster.clock.freeze()
    stands = cluster.clock.now()
    cluster.settle()
    assert cluster.clock.now() == stands


def test_an_operator_outside_keeps_up_with_advanced_time(cluster: Cluster) -> None:
    """Time waits for a client that watches: it answers each Job before the next one comes."""
    cluster.clock.freeze()
    answered: list[str] = []
    ready = threading.Event()

    async def operator(client: Client) -> None:
        jobs: asyncio.Queue[str] = asyncio.Queue()
        informer = Informer(client, JOBS)
        informer.on_change(lambda old, new: jobs.put_nowait(name_of(new)) if new else None)
        following = asyncio.get_running_loop().create_task(informer.run())
        await informer.synced()
        ready.set()
        while len(answered) < 3:
            name = await jobs.get()
            if name not in answered:
                await client.create(CONFIG_MAPS, a_config_map(name))
                answered.append(name)
        following.cancel()

    cluster.objects.create(
        {
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "metadata": {"name": "c"},
            "spec": {
                "schedule": "*/20 * * * *",
                "jobTemplate": {
                    "spec": {
                        "template": {
                            "spec": {
                                "restartPolicy": "Never",
                                "containers": [{"name": "a", "image": "a"}],
                            }
                        }
                    }
                },
            },
        }
    )
    thread = threading.Thread(target=told, args=(cluster, operator))
    thread.start()
    assert ready.wait(20)
    cluster.clock.advance("1h1m")
    thread.join(20)
    assert len(answered) == 3
    writes = [w for w in cluster.plane.story.writes if w.verb == "created"]
    minutes = {w.key: w.at.replace(second=0, microsecond=0) for w in writes}
    for name in answered:
        assert minutes[f"configmaps/default/{name}"] == minutes[f"jobs/default/{name}"]
