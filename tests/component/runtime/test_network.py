"""Pods of the runtime on the built-in pod network, the runtime in a node namespace of its own."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from component.runtime.rig import Rig
from tiphys.runtime.images.registry_storage import RegistryStorage

pytestmark = pytest.mark.root

PROGRAM = """
import asyncio, json, logging, subprocess, sys
from pathlib import Path
from tiphys.cni.routed_veth import RoutedVethNetwork
from tiphys.lib import logs, sysctl
from tiphys.runtime.config import RuntimeConfig
from tiphys.runtime.images.registry import RegistryServer
from tiphys.runtime.images.registry_storage import RegistryStorage
from tiphys.lib.logs import Secret
from tiphys.runtime.run import run

async def main(fields, registry):
    server = RegistryServer(RegistryStorage(registry), Secret(""))
    port = await server.start("127.0.0.1", 0)
    fields["registry_mirrors"] = {"*": [f"http://127.0.0.1:{port}"]}
    network = RoutedVethNetwork(Path(fields["root_dir"]) / "cni")
    await run(RuntimeConfig(**fields, network=network))

logs.configure(sys.stderr, level=logging.INFO)
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
sysctl.write("net.ipv4.ip_forward", "1")
asyncio.run(main(json.loads(sys.argv[1]), sys.argv[2]))
"""


class NodeRig(Rig):
    """A runtime in fresh network, mount and UTS namespaces, as a local node has them."""

    def _spawn(self) -> None:
        fields = {k: v for k, v in self.fields.items() if k != "registry_mirrors"}
        arguments = [sys.executable, "-c", PROGRAM, json.dumps(fields), self.storage.directory]
        with (self.directory / "runtime.log").open("ab") as log:
            self.process = subprocess.Popen(
                ["unshare", "--net", "--mount", "--uts", *arguments],
                stderr=log,
                stdin=subprocess.DEVNULL,
            )


def test_pods_have_addresses_and_reach_each_other(tmp_path: Path, storage: RegistryStorage) -> None:
    async def body() -> None:
        rig = NodeRig(tmp_path, storage)
        try:
            await rig.start()
            await check(rig)
        finally:
            await rig.close()

    asyncio.run(asyncio.wait_for(body(), 60))


async def check(rig: Rig) -> None:
    async def network_ready() -> dict[str, Any]:
        conditions = (await rig.client.call("Status", {}))["status"]["conditions"]
        found: dict[str, Any] = next(c for c in conditions if c["type"] == "NetworkReady")
        return found

    assert (await network_ready())["reason"] == "NetworkPluginNotReady"
    cidr = {"runtime_config": {"network_config": {"pod_cidr": "10.244.9.0/24"}}}
    await rig.client.call("UpdateRuntimeConfig", cidr)
    assert (await network_ready())["status"] is True
    await rig.pull()
    server, client = await rig.sandbox("server"), await rig.sandbox("client")
    answer = await rig.client.call("PodSandboxStatus", {"pod_sandbox_id": server})
    assert answer["status"]["network"] == {"ip": "10.244.9.2"}
    await rig.run(server, "httpd -f -p 8080 -h /etc")
    fetch = "until wget -qO- 10.244.9.2:8080/hostname; do usleep 10000; done; ip -4 addr show eth0"
    output = await rig.output(client, fetch)
    assert output.startswith("server\n")
    assert "10.244.9.3/32" in output
    rig.kill()
    rig.process = None
    # The pods' own namespaces live on in their shims.
    for sandbox in (server, client):
        shim = json.loads((rig.directory / "root/sandboxes" / sandbox / "sandbox.json").read_text())
        assert "eth0" in Path(f"/proc/{shim['shim']['pid']}/net/dev").read_text()  # noqa: ASYNC240


def test_a_pod_may_use_the_nodes_network(tmp_path: Path, storage: RegistryStorage) -> None:
    async def body() -> None:
        rig = NodeRig(tmp_path, storage)
        try:
            await rig.start()
            await rig.pull()
            options = {"network": "NODE"}
            sandbox = await rig.sandbox("host", namespace_options=options)
            output = await rig.output(
                sandbox,
                "cat /sys/class/net/lo/operstate; hostname; ls /sys/class/net",
                context={"namespace_options": options},
            )
            assert output.split()[-1] == "lo"
            state = await rig.client.call("PodSandboxStatus", {"pod_sandbox_id": sandbox})
            assert "ip" not in state["status"].get("network", {})
        finally:
            await rig.close()

    asyncio.run(asyncio.wait_for(body(), 60))
