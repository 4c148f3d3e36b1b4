"""Counters of network interfaces. Source: man 5 proc_pid_net."""

from dataclasses import dataclass

from tiphys.kubelet.usage.cgroup_usage import read_text


@dataclass(frozen=True, slots=True)
class InterfaceCounters:
    name: str
    rx_bytes: int
    rx_packets: int
    rx_errors: int
    rx_dropped: int
    tx_bytes: int
    tx_packets: int
    tx_errors: int
    tx_dropped: int


def parse(text: str) -> list[InterfaceCounters]:
    """Every interface but the loopback in the text of /proc/<pid>/net/dev."""
    found = []
    for line in text.splitlines():
        name, colon, rest = line.partition(":")
        numbers = rest.split()
        if colon and len(numbers) >= 16 and name.strip() != "lo":
            n = [int(word) for word in numbers]
            found.append(InterfaceCounters(name.strip(), *n[0:4], *n[8:12]))
    return found


def read_interfaces(pid: int) -> list[InterfaceCounters]:
    """Of the network namespace that the process is in."""
    return parse(read_text(f"/proc/{pid}/net/dev"))
