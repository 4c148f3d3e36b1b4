"""What /proc says of the machine and its interfaces."""

from tiphys.kubelet.usage import machine_usage, network
from tiphys.kubelet.usage.machine_usage import MachineUsage
from tiphys.kubelet.usage.network import InterfaceCounters

STAT = "cpu  100 1 50 9999 9 2 3 4 5 6\ncpu0 1 1\nbtime 1700000000\n"
MEMINFO = (
    "MemTotal: 1000 kB\nMemFree: 100 kB\nMemAvailable: 400 kB\nAnonPages: 200 kB\n"
    "SwapTotal: 50 kB\nSwapFree: 20 kB\nHugePages_Total: 0\n"
)
DEV = (
    "Inter-|   Receive                            |  Transmit\n"
    " face |bytes    packets errs drop fifo frame compressed multicast|bytes packets\n"
    "    lo: 9 9 9 9 0 0 0 0 9 9 9 9 0 0 0 0\n"
    "  eth0: 1 2 3 4 0 0 0 0 5 6 7 8 0 0 0 0\n"
)


def test_idle_time_and_guests_are_no_work() -> None:
    """Guest time is in user time already. Source: man 5 proc, /proc/stat."""
    found = machine_usage.parse(STAT, MEMINFO, "pgfault 7\npgmajfault 2\n")
    assert found == MachineUsage(
        cpu_nanoseconds=160 * 10_000_000,
        memory_bytes=900 * 1024,
        working_set_bytes=600 * 1024,
        available_bytes=400 * 1024,
        rss_bytes=200 * 1024,
        swap_bytes=30 * 1024,
        swap_total_bytes=50 * 1024,
        page_faults=7,
        major_page_faults=2,
        boot_seconds=1_700_000_000,
    )


def test_interfaces_without_the_loopback() -> None:
    assert network.parse(DEV) == [InterfaceCounters("eth0", 1, 2, 3, 4, 5, 6, 7, 8)]


def test_nothing_is_nothing() -> None:
    assert network.parse("") == []
    assert machine_usage.parse("", "", "").cpu_nanoseconds == 0
