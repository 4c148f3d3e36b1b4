"""What the doctor looks for on the machine beside what a start demands: ports, files, overlays."""

import json
import shutil
import socket
import stat
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from tiphys.cluster.finding import Finding
from tiphys.cluster.kernel_features import NFT

TABLES_MAX: Final = 500  # More, and every change by anybody takes long.
_NFT_SECONDS_MAX: Final = 5.0


def kubeconfig(path: Path) -> list[Finding]:
    """Whether clients can read it and nobody else can."""
    from tiphys.client.kubeconfig import KubeconfigError, read

    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return []  # A start makes it.
    except OSError as exc:
        return [
            Finding(f"the kubeconfig {path} cannot be seen: {exc.strerror}", "export KUBECONFIG")
        ]
    found = rights(path, mode)
    try:
        read(path)
    except (OSError, KubeconfigError) as exc:
        what = f"the kubeconfig {path} cannot be used: {exc}"
        found.append(Finding(what, f"repair it, or move it away: mv {path} {path}.broken"))
    return found


def rights(path: Path, mode: int) -> list[Finding]:
    """It holds keys. Pure."""
    if not mode & (stat.S_IRWXG | stat.S_IRWXO):
        return []
    what = f"others may read the keys in the kubeconfig {path} (mode {stat.S_IMODE(mode):o})"
    return [Finding(what, f"chmod 600 {path}", fatal=False)]


def ports(wanted: Mapping[int, str], is_free: Callable[[int], bool]) -> list[Finding]:
    """Ports that a start needs and somebody else has; what each is for. Pure but for is_free."""
    return [
        Finding(
            f"port {port} ({what}) is in use",
            f"see who listens there: ss -ltnp 'sport = :{port}'",
            fatal=False,
        )
        for port, what in wanted.items()
        if not is_free(port)
    ]


def is_free(port: int) -> bool:
    """Whether nobody listens on the loopback's port."""
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) != 0


def overlay(state: Path) -> list[Finding]:
    """Whether images can be laid over each other where the state is. Needs root."""
    existing = next(p for p in (state, *state.parents) if p.exists())
    kind = file_system(existing, Path("/proc/self/mountinfo").read_text())
    if kind not in ("overlay", "aufs", "nfs", "nfs4", "vfat", "9p", "fuse"):
        return []
    return [
        Finding(
            f"{existing} is on {kind}, on which no overlay can be mounted",
            "put the state on ext4, xfs or btrfs: export TIPHYS_HOME=/elsewhere",
            fatal=kind != "fuse",
        )
    ]


def file_system(path: Path, mountinfo: str) -> str:
    """The type of the file system that has path. Source: proc_pid_mountinfo(5). Pure."""
    best, kind = -1, ""
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        point = Path(before.split()[4])
        if (point == path or point in path.parents) and len(point.parts) >= best:
            best, kind = len(point.parts), after.split()[0]
    return kind


def nftables() -> list[Finding]:
    """Whether rules can be listed, and how many tables there are. Needs root."""
    if not Path(NFT).exists():
        return [Finding("nftables is not installed", "apt-get install nftables")]
    done = subprocess.run(
        [NFT, "-j", "list", "tables"],
        capture_output=True,
        text=True,
        timeout=_NFT_SECONDS_MAX,
        check=False,
    )
    if done.returncode != 0:
        what = f"nftables cannot be asked: {done.stderr.strip()}"
        return [Finding(what, "load the module: modprobe nf_tables")]
    return many_tables(json.loads(done.stdout).get("nftables") or [])


def many_tables(entries: Sequence[Mapping[str, object]]) -> list[Finding]:
    """Pure."""
    count = sum("table" in entry for entry in entries)
    if count <= TABLES_MAX:
        return []
    what = f"there are {count} nftables tables: every change of rules takes long"
    return [Finding(what, "find who leaves them: nft list tables", fatal=False)]


def kubectl(find: Callable[[str], str | None] = shutil.which) -> list[Finding]:
    if find("kubectl"):
        return []
    fix = "tiphys kubectl has its most used commands; or install kubectl"
    return [Finding("kubectl is not installed", fix, fatal=False)]
