"""How long a container takes to start: ours through CRI, and runc, in the same minute.

    python bench/runtime/start.py [ROUNDS]

Ours: RunPodSandbox + CreateContainer + StartContainer with limits, capabilities, seccomp, masked
paths. runc: `runc run` of a prepared bundle with the same image, until its process runs `true`.
"""

import asyncio
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from component.runtime.rig import Rig
from tiphys.runtime.images import bundled
from tiphys.runtime.images.registry_storage import RegistryStorage

MASKED = ["/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"]
READ_ONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
CONTEXT = {"masked_paths": MASKED, "readonly_paths": READ_ONLY}
LINUX = {"resources": {"cpu_shares": 100, "memory_limit_in_bytes": 64 << 20}}


async def ours(directory: Path, rounds: int) -> dict[str, list[float]]:
    storage = RegistryStorage(str(directory / "registry"))
    bundled.build(storage)
    rig = Rig(directory, storage)
    times: dict[str, list[float]] = {"sandbox": [], "create": [], "start": [], "exec": []}
    try:
        await rig.start()
        await rig.pull()
        for index in range(rounds):
            moments = [time.perf_counter()]
            sandbox = await rig.sandbox(f"pod{index}")
            moments.append(time.perf_counter())
            container = await rig.create(
                sandbox, ["sleep", "1000"], context=dict(CONTEXT), linux=dict(LINUX)
            )
            moments.append(time.perf_counter())
            await rig.client.call("StartContainer", {"container_id": container})
            moments.append(time.perf_counter())
            await rig.exec(container, "true")
            moments.append(time.perf_counter())
            for name, begin, end in zip(times, moments, moments[1:], strict=False):
                times[name].append((end - begin) * 1000)
            await rig.client.call("RemovePodSandbox", {"pod_sandbox_id": sandbox})
    finally:
        await rig.close()
    return times


def runc(directory: Path, rounds: int) -> list[float]:
    bundle = directory / "bundle"
    (bundle / "rootfs" / "bin").mkdir(parents=True)
    shutil.copy("/bin/busybox", bundle / "rootfs" / "bin" / "true")
    subprocess.run(["runc", "spec"], cwd=bundle, check=True)
    spec = json.loads((bundle / "config.json").read_text())
    spec["process"] |= {"args": ["/bin/true"], "terminal": False}
    spec["process"].pop("rlimits", None)
    (bundle / "config.json").write_text(json.dumps(spec))
    times = []
    for index in range(rounds):
        begin = time.perf_counter()
        command = ["runc", "run", "--bundle", str(bundle), f"tiphys-bench-{index}"]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
        times.append((time.perf_counter() - begin) * 1000)
    return times


def show(name: str, times: list[float]) -> None:
    ordered = sorted(times)
    p90 = ordered[int(len(ordered) * 0.9)]
    print(f"{name:28} median {statistics.median(times):6.1f} ms   p90 {p90:6.1f} ms")


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    with tempfile.TemporaryDirectory(prefix="tiphys-bench-") as name:
        directory = Path(name)
        if shutil.which("runc"):
            show("runc run (prepared bundle)", runc(directory, rounds))
        times = asyncio.run(ours(directory, rounds))
        for step, values in times.items():
            show(step, values)
        whole = [sum(row) for row in zip(*list(times.values())[:3], strict=True)]
        show("sandbox + create + start", whole)


if __name__ == "__main__":
    main()
