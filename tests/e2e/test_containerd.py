"""The boundary is CRI's: the same kubelet runs pods on Debian's containerd (1.6, no events)."""

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from component.kubelet.cluster import NAMESPACE, SmallCluster
from component.kubelet.test_pods import exec_command
from e2e.containerd import Containerd, is_there
from tiphys.api.errors import NotFound
from tiphys.kubelet.resources import PODS
from tiphys.lib.tls import client_context
from tiphys.runtime.images import bundled
from tiphys.runtime.images.registry_storage import RegistryStorage

pytestmark = [
    pytest.mark.root,
    pytest.mark.e2e,
    pytest.mark.skipif(not is_there(), reason="containerd and runc are not installed"),
]

Result = TypeVar("Result")


class Live:
    def __init__(self, runner: asyncio.Runner, cluster: SmallCluster) -> None:
        self._runner = runner
        self.cluster = cluster

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self._runner.run(work)


@pytest.fixture(scope="module")
def on_containerd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    storage = RegistryStorage(str(tmp_path_factory.mktemp("registry")))
    bundled.build(storage)
    home = Path(tempfile.mkdtemp(prefix="tc", dir="/tmp"))
    daemon = Containerd(home, storage)
    with asyncio.Runner() as runner:
        cluster = SmallCluster(
            tmp_path_factory.mktemp("kubelet"), daemon.socket, daemon.cgroup_root
        )
        try:
            runner.run(daemon.start())
            runner.run(cluster.start())
            yield Live(runner, cluster)
            runner.run(cluster.close())
        finally:
            runner.run(daemon.close())
            shutil.rmtree(home, ignore_errors=True)


def test_a_pod_runs_to_its_end(on_containerd: Live) -> None:
    async def work(cluster: SmallCluster) -> None:
        await cluster.pod("done", "echo hello; exit 3", restartPolicy="Never")
        pod = await cluster.phase("done", "Failed")
        (status,) = pod["status"]["containerStatuses"]
        assert status["state"]["terminated"]["exitCode"] == 3
        assert status["containerID"].startswith("containerd://")
        assert status["image"] == "docker.io/library/busybox:latest"
        assert await cluster.log("done") == "hello\n"

    on_containerd.run(work(on_containerd.cluster))


def test_a_running_pod_takes_commands_and_ends_when_deleted(on_containerd: Live) -> None:
    async def work(cluster: SmallCluster) -> None:
        await cluster.pod("web", "trap 'exit 0' TERM; while :; do sleep 0.1; done")
        await cluster.phase("web", "Running")
        pki = cluster.directory / "pki"
        tls = client_context(pki / "ca.crt", pki / "admin.crt", pki / "admin.key")
        found = await exec_command(
            cluster.config.port,
            tls,
            f"/exec/{NAMESPACE}/web/c",
            "echo hi",
            protocol="v4.channel.k8s.io",
        )
        assert found[1] == b"hi\n"
        await cluster.client.delete(PODS, "web", NAMESPACE)

        async def is_gone() -> bool:
            try:
                await cluster.get("web")
            except NotFound:
                return True
            return False

        await cluster.until(is_gone, "the object is gone")

    on_containerd.run(work(on_containerd.cluster))
