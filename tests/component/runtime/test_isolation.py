"""What a container may not do, and limits that hold. Lessons: runc's CVEs (see oci.process)."""

import os
import resource
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from component.runtime.conftest import LiveNode
from tiphys.cri.errors import CriError
from tiphys.runtime import zygote_launch
from tiphys.runtime.cgroups.devices import DEFAULT_RULES
from tiphys.runtime.cgroups.v2 import CgroupsV2
from tiphys.runtime.images import bundled
from tiphys.runtime.images.bundled import Entry

pytestmark = pytest.mark.root

UNIFIED = "/sys/fs/cgroup/unified"
MASKED = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
]
READ_ONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]


def read(path: str) -> str:
    return Path(path).read_text()


def output(node: LiveNode, name: str, script: str | list[str], **config: Any) -> str:
    async def body() -> str:
        return await node.rig.output(await node.rig.sandbox(name), script, **config)

    return node.run(body())


def test_default_rights(node: LiveNode) -> None:
    script = "grep -E '^(Cap|NoNew|Seccomp:)' /proc/self/status; id; cat /proc/self/oom_score_adj"
    words = (
        "CapInh: 0000000000000000 CapPrm: 00000000a80425fb CapEff: 00000000a80425fb "
        "CapBnd: 00000000a80425fb CapAmb: 0000000000000000 NoNewPrivs: 0 Seccomp: 2 "
        "uid=0(root) gid=0(root) groups=0(root) 0"
    )
    assert output(node, "rights", script).split() == words.split()


def test_rights_on_exec_are_the_containers(node: LiveNode) -> None:
    async def body() -> None:
        rig = node.rig
        context = {
            "run_as_user": {"value": 1234},
            "run_as_group": {"value": 55},
            "supplemental_groups": [7, 8],
            "capabilities": {"drop_capabilities": ["ALL"]},
            "no_new_privs": True,
        }
        container = await rig.run(await rig.sandbox("who"), "sleep 60", context=context)
        script = "id; grep -E '^(Cap|NoNew|Seccomp:)' /proc/self/status; ls /proc/self/fd | wc -l"
        answer = await rig.exec(container, script)
        zero = "0000000000000000"
        assert (
            answer["stdout"].decode().split()
            == (
                f"uid=1234 gid=55 groups=7,8,55 CapInh: {zero} CapPrm: {zero} CapEff: {zero} "
                f"CapBnd: {zero} CapAmb: {zero} NoNewPrivs: 1 Seccomp: 2 4"
            ).split()
        )
        status = await rig.status(container)
        assert status["user"] == {
            "linux": {"uid": 1234, "gid": 55, "supplemental_groups": [55, 7, 8]}
        }

    node.run(body())


def test_user_names_come_from_the_image(node: LiveNode) -> None:
    text = output(
        node,
        "nobody",
        "id; touch /tmp/x && ls -n /tmp/x | cut -c1-36; echo hi > /dev/stdout",
        context={"run_as_username": "nobody"},
    )
    assert text.startswith("uid=65534(nobody) gid=65534(nobody) groups=65534(nobody)\n")
    assert text.endswith("hi\n")


def test_open_files_are_as_many_as_the_machine_allows(node: LiveNode) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert output(node, "files", "ulimit -n").strip() == str(min(hard, 1 << 20))


def test_an_unknown_user_is_a_start_error(node: LiveNode) -> None:
    with pytest.raises(CriError, match="unable to find user ghost"):
        output(node, "ghost", "id", context={"run_as_username": "ghost"})


def test_paths_are_masked_and_read_only(node: LiveNode) -> None:
    context = {"masked_paths": [*MASKED, "/proc/version"], "readonly_paths": READ_ONLY}
    script = (
        "cat /proc/version /proc/keys; ls /sys/firmware; "
        "echo 1 > /proc/sys/kernel/domainname; mkdir /sys/fs/cgroup/x; echo end"
    )
    assert output(node, "masked", script, context=context).splitlines() == [
        "sh: can't create /proc/sys/kernel/domainname: Read-only file system",
        "mkdir: can't create directory '/sys/fs/cgroup/x': Read-only file system",
        "end",
    ]


@pytest.mark.parametrize(
    "name", ["vm.overcommit_memory", "kernel.domainname", "net/../vm/swappiness"]
)
def test_sysctls_of_the_node_are_refused(node: LiveNode, name: str) -> None:
    with pytest.raises(CriError, match=r"not in a separate kernel namespace|not a sysctl|No such"):
        node.run(node.rig.sandbox("sysctl", sysctls={name: "1"}))


def test_sysctls_of_the_pod_are_set(node: LiveNode) -> None:
    async def body() -> None:
        sysctls = {"net.ipv4.ip_local_port_range": "20000 20100", "kernel.shmmni": "77"}
        sandbox = await node.rig.sandbox("sysctls", sysctls=sysctls)
        script = "cat /proc/sys/net/ipv4/ip_local_port_range /proc/sys/kernel/shmmni"
        assert (await node.rig.output(sandbox, script)).split() == ["20000", "20100", "77"]

    node.run(body())
    assert Path("/proc/sys/kernel/shmmni").read_text() != "77\n"


def test_a_read_only_root_is_read_only(node: LiveNode) -> None:
    context = {"readonly_rootfs": True}
    text = output(node, "roroot", "touch /x; echo y > /dev/shm/y; cat /dev/shm/y", context=context)
    assert text == "touch: /x: Read-only file system\ny\n"


def test_devices_are_denied(node: LiveNode) -> None:
    """CAP_MKNOD alone must not open the host's disk."""
    disk = os.stat("/").st_dev
    script = (
        f"mknod /tmp/disk b {os.major(disk)} {os.minor(disk)} && head -c 1 /tmp/disk; "
        "mknod /tmp/mem c 1 1; head -c 1 /tmp/mem; head -c 2 /dev/zero | wc -c; : > /dev/null"
    )
    assert output(node, "devices", script).splitlines() == [
        "head: /tmp/disk: Operation not permitted",
        "head: /tmp/mem: Operation not permitted",
        "2",
    ]


@pytest.mark.parametrize(
    "script",
    [
        pytest.param("mount -t tmpfs x /mnt", id="mount"),
        pytest.param("unshare -m true", id="unshare"),
        pytest.param("unshare -U true", id="user-namespace"),
        pytest.param("hostname other", id="hostname"),
        pytest.param("nsenter -t 1 -m true", id="setns"),
        pytest.param("date -s 2000-01-01", id="clock"),
        pytest.param("dmesg", id="kernel-log"),
        pytest.param("umount /proc", id="umount"),
    ],
)
def test_privileged_calls_fail(node: LiveNode, script: str) -> None:
    text = output(node, "calls", f"{script}; echo $?")
    assert "not permitted" in text or "ermission denied" in text


def test_a_privileged_container_may(node: LiveNode) -> None:
    script = "mount -t tmpfs x /tmp && echo mounted; grep -E 'Seccomp:' /proc/self/status; ls /dev"
    lines = output(node, "root", script, context={"privileged": True}).splitlines()
    assert lines[0] == "mounted"
    assert lines[1].split() == ["Seccomp:", "0"]
    assert os.path.basename("/dev/vda") in lines or "kvm" in lines or len(lines) > 20


def test_isolation_that_we_cannot_give_is_refused(node: LiveNode) -> None:
    async def body() -> None:
        rig = node.rig
        with pytest.raises(CriError, match="user namespaces are not supported"):
            await rig.sandbox("users", namespace_options={"userns_options": {"uids": []}})
        node_users = {"userns_options": {"mode": "NODE"}}
        sandbox = await rig.sandbox("users", namespace_options=node_users)
        profile = {"profile_type": "Localhost", "localhost_ref": "x"}
        with pytest.raises(CriError, match="AppArmor profiles are not supported"):
            await rig.create(sandbox, "true", context={"apparmor": profile})

    node.run(body())


def test_memory_over_the_limit_is_killed(node: LiveNode) -> None:
    async def body() -> None:
        rig = node.rig
        linux = {"resources": {"memory_limit_in_bytes": 16 << 20}}
        script = "x=a; while :; do x=$x$x; done"
        container = await rig.run(await rig.sandbox("oom"), script, linux=linux)
        status = await rig.finished(container)
        assert (status["reason"], status["exit_code"]) == ("OOMKilled", 137)
        assert status["resources"]["linux"] == {"memory_limit_in_bytes": 16 << 20}

    node.run(body())


# File below the group (or the pod's group), and what is in it: version 1, version 2.
LIMITS = (
    {
        "cpu/c/cpu.shares": "512",
        "cpu/c/cpu.cfs_quota_us": "20000",
        "memory/c/memory.limit_in_bytes": str(32 << 20),
        "memory/pod/memory.limit_in_bytes": str(64 << 20),
    },
    {
        "c/cpu.weight": "20",
        "c/cpu.max": "20000 100000",
        "c/memory.max": str(32 << 20),
        "pod/memory.max": str(64 << 20),
    },
)


def test_limits_are_in_the_cgroup_and_can_be_changed(node: LiveNode) -> None:
    async def body() -> None:
        rig = node.rig
        linux = {
            "resources": {
                "cpu_shares": 512,
                "cpu_quota": 20000,
                "cpu_period": 100000,
                "memory_limit_in_bytes": 32 << 20,
            }
        }
        sandbox = await rig.sandbox("limits", resources={"memory_limit_in_bytes": 64 << 20})
        container = await rig.run(sandbox, "sleep 60", linux=linux)
        pid = int((await rig.verbose(container))["pid"])
        assert container in read(f"/proc/{pid}/cgroup")
        groups = {Path(path).parts[4]: Path(path) for path in rig.cgroup_names(container)}
        version2 = "memory" not in groups
        expected = LIMITS[version2]
        assert {name: limit(groups, name) for name in expected} == expected
        name = "memory.max" if version2 else "memory/memory.limit_in_bytes"
        seen = await rig.exec(container, f"cat /sys/fs/cgroup/{name}")
        assert seen["stdout"] == b"%d\n" % (32 << 20)
        update = {"container_id": container, "linux": {"memory_limit_in_bytes": 48 << 20}}
        await rig.client.call("UpdateContainerResources", update)
        changed = "c/memory.max" if version2 else "memory/c/memory.limit_in_bytes"
        assert limit(groups, changed) == str(48 << 20)
        stats = await rig.client.call("ContainerStats", {"container_id": container})
        assert stats["stats"]["memory"]["usage_bytes"]["value"] > 0
        assert stats["stats"]["cpu"]["usage_core_nano_seconds"]["value"] > 0

    node.run(body())


def limit(groups: dict[str, Path], name: str) -> str:
    """What is in a file of LIMITS; groups has one entry for each hierarchy."""
    *controller, level, file = name.split("/")
    group = groups[controller[0]] if controller else next(iter(groups.values()))
    return read(str((group if level == "c" else group.parent) / file)).strip()


@pytest.mark.skipif(not os.path.isdir(UNIFIED), reason="no cgroup v2 mount to try it on")
def test_the_device_program_of_cgroup_v2_is_obeyed(tmp_path: Path) -> None:
    """The kernel's verdicts, not only its verifier's; this machine's containers use v1."""
    cgroups = CgroupsV2(UNIFIED)
    path = f"tiphys-test-{os.getpid()}/c"
    os.mknod(tmp_path / "mem", stat.S_IFCHR | 0o600, os.makedev(1, 1))
    os.mknod(tmp_path / "zero", stat.S_IFCHR | 0o600, os.makedev(1, 5))
    cgroups.create(path, {"devices": list(DEFAULT_RULES)})
    script = (
        f"echo 0 > {cgroups.procs_files(path)[0]}; head -c 1 {tmp_path}/mem; "
        f"head -c 3 {tmp_path}/zero | wc -c; "
        f"mknod {tmp_path}/disk b 254 0 && head -c 1 {tmp_path}/disk"
    )
    try:
        command = [bundled.BUSYBOX, "sh", "-c", script]
        found = subprocess.run(command, capture_output=True, text=True, check=False)
    finally:
        assert cgroups.remove(os.path.dirname(path))
    assert found.stdout == "3\n"
    assert [line.rpartition(": ")[2] for line in found.stderr.splitlines()] == [
        "Operation not permitted",
        "Operation not permitted",
    ]


def test_files_of_the_image_cannot_stop_a_start(node: LiveNode) -> None:
    """/etc/passwd may be anything: it is read in the container, bounded and without blocking."""
    image = hostile_image(
        node,
        "passwd",
        {"etc/passwd": Entry(link="/dev/zero"), "etc/group": Entry(link="/proc/self/fd/0")},
    )
    assert (
        output(node, "passwd", "echo up", image=image, context={"run_as_user": {"value": 5}})
        == "up\n"
    )


HOSTILE = {
    "proc-link": {"proc": Entry(link="/tmp")},
    "sys-link": {"sys": Entry(link="../../../../etc")},
    "dev-link": {"dev": Entry(link="/etc")},
}


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_kernel_file_systems_are_not_mounted_over_links(node: LiveNode, name: str) -> None:
    """CVE-2019-19921 and its relatives."""
    image = hostile_image(node, name, HOSTILE[name])
    with pytest.raises(CriError, match="must be a directory"):
        output(node, name, "true", image=image)


def test_mounts_stay_inside_the_root(node: LiveNode) -> None:
    """CVE-2021-30465, CVE-2024-45310: a link in the image must not lead a mount to the host."""
    rig = node.rig
    target = rig.directory / "outside"
    target.mkdir()
    links = {
        "evil": Entry(link=str(target)),
        "up": Entry(link="../../../../../../../../" + str(target)),
        "self": Entry(link="/proc/self/root/../.."),
    }
    image = hostile_image(node, "mounts", links)
    source = rig.directory / "source"
    source.mkdir()
    (source / "marker").write_text("x")
    mounts = [
        {"container_path": "/evil/a", "host_path": str(source)},
        {"container_path": "/up/b/c", "host_path": str(source)},
    ]
    text = output(node, "mounts", f"ls {target}/a {target}/b/c", image=image, mounts=mounts)
    assert text.count("marker") == 2
    assert list(target.iterdir()) == []
    bad = [{"container_path": "/x/../../y", "host_path": str(source)}]
    with pytest.raises(CriError, match="may not contain"):
        output(node, "dots", "true", mounts=bad)
    magic = [{"container_path": "/self/x", "host_path": str(source)}]
    with pytest.raises(CriError, match="failed to mount"):
        output(node, "magic", "true", image=image, mounts=magic)


def test_the_interpreter_cannot_be_reached(node: LiveNode) -> None:
    """CVE-2019-5736: an image whose program is /proc/self/exe may get the runtime's interpreter to
    run in the container, but never a way to write to it."""
    image = hostile_image(node, "selfexe", {"bin/evil": Entry(link="/proc/self/exe")})
    with pytest.raises(CriError, match="exec"):
        # Dynamically linked, it does not even find its loader in there.
        output(node, "selfexe", ["/bin/evil"], image=image)


def test_no_descriptor_of_the_runtime_reaches_the_container(node: LiveNode) -> None:
    """CVE-2024-21626: neither as working directory nor as an open file."""
    for number in range(3, 20):
        with pytest.raises(CriError, match="chdir"):
            output(node, "cwd", "ls ../../..", working_dir=f"/proc/self/fd/{number}")
    # Number 3 is the directory that ls itself reads.
    assert output(node, "fds", ["ls", "/proc/self/fd"]).split() == ["0", "1", "2", "3"]


def test_the_view_of_the_interpreter_cannot_be_written(tmp_path: Path) -> None:
    """Neither the read-only mount nor the sealed copy, not even by root on the host."""
    shutil.copy(bundled.BUSYBOX, tmp_path / "exe")
    fd = zygote_launch.read_only_view(str(tmp_path / "exe"))
    with pytest.raises(OSError, match="Read-only"):
        os.open(f"/proc/self/fd/{fd}", os.O_WRONLY)
    os.close(fd)
    fd = zygote_launch.sealed_copy("/bin/busybox")
    written = os.open(f"/proc/self/fd/{fd}", os.O_WRONLY)
    with pytest.raises(PermissionError):
        os.write(written, b"x")
    os.close(written)
    os.close(fd)


def hostile_image(node: LiveNode, name: str, entries: dict[str, Entry]) -> str:
    """An image of busybox's base in which entries replace what they name."""
    base = bundled.busybox_entries(bundled.BUSYBOX)
    kept = {path: entry for path, entry in base.items() if path not in entries}
    reference = f"docker.io/hostile/{name}:latest"
    bundled.write_image(node.rig.storage, (reference,), [bundled.layer(kept | entries)], {})
    node.run(node.rig.pull(reference))
    return reference
