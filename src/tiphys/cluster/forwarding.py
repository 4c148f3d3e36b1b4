"""The machine's own forwarding of packets: switched on by the first profile, put back by the last.

What it was before belongs to the machine, not to a profile: the one that switched it on may leave
first, and profiles of other TIPHYS_HOMEs count too. /run and the setting both end with the boot.
"""

from pathlib import Path
from typing import Final

from tiphys.lib import sysctl

NAME: Final = "net.ipv4.ip_forward"
RECORD: Final = Path("/run/tiphys.ip_forward")  # Beside /run/tiphys, which belongs to profiles.


def enable(record: Path) -> None:
    """Switch it on and write down what it was, if nobody has yet. Raises OSError."""
    if (before := sysctl.read(NAME)) == "1":
        return
    if not record.exists():
        record.parent.mkdir(parents=True, exist_ok=True)
        record.write_text(before)
    sysctl.write(NAME, "1")


def restore(record: Path) -> None:
    """Put back what was written down; for the last profile that leaves. Raises OSError."""
    try:
        before = record.read_text().strip()
    except FileNotFoundError:
        return
    sysctl.write(NAME, before or "0")
    record.unlink(missing_ok=True)
