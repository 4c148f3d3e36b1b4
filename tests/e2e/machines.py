"""Machines for tests: namespaces of network, mounts and host name that share only one link.

Each has its own /run and its own TIPHYS_HOME. Processes and cgroups are the real machine's, so
profiles have names of their own.
"""

import os
import shutil
import subprocess
from pathlib import Path

from e2e.clusters import Cluster, until

# What other clusters keep mounted is let go of: they could not remove it.
SETUP = """mount --make-rprivate / && for m in $(awk '$9 == "nsfs" || $8 == "nsfs" {print $5}' \\
    /proc/self/mountinfo); do umount -l "$m"; done
mount -t tmpfs run /run && hostname "$0" && exec sleep 100000"""


class Machine:
    """`run` executes a command on it; `cluster` has the commands of Cluster."""

    def __init__(self, name: str, address: str) -> None:
        self.name = name
        self.address = address
        words = ["unshare", "--net", "--mount", "--uts", "sh", "-c", SETUP, name]
        self._holder = subprocess.Popen(words)
        self.pid = self._holder.pid
        until(self._is_ready, 10, f"machine {name} is set up")
        self.run("ip", "link", "set", "lo", "up")
        self.run("sh", "-c", "echo 0 > /proc/sys/net/ipv4/ip_forward")
        self.cluster = MachineCluster(self)

    def _is_ready(self) -> bool:
        return Path(f"/proc/{self.pid}/comm").read_text().strip() == "sleep"

    def words(self, *command: str) -> list[str]:
        return ["nsenter", "-t", str(self.pid), "-n", "-m", "-u", *command]

    def run(self, *command: str, check: bool = True) -> str:
        done = subprocess.run(
            self.words(*command), capture_output=True, text=True, timeout=60, check=False
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{command} on {self.name}: {done.stdout}{done.stderr}")
        return done.stdout

    def close(self) -> None:
        self._holder.kill()
        self._holder.wait()


class MachineCluster(Cluster):
    """The commands of a profile, run on its machine."""

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine.name)
        self.prefix = machine.words()

    def forget(self) -> None:
        """The files of a profile that has been deleted."""
        shutil.rmtree(self.home, ignore_errors=True)


def two_machines() -> tuple[Machine, Machine]:
    """Joined by a cable, and by nothing else."""
    suffix = os.getpid() % 10000
    first = Machine(f"ja{suffix}", "172.31.77.1")
    second = Machine(f"jb{suffix}", "172.31.77.2")
    link = ["ip", "link", "add", "eth0", "netns", str(first.pid), "type", "veth"]
    subprocess.run([*link, "peer", "name", "eth0", "netns", str(second.pid)], check=True)
    for machine in (first, second):
        machine.run("ip", "addr", "add", f"{machine.address}/24", "dev", "eth0")
        machine.run("ip", "link", "set", "eth0", "up")
    return first, second
