"""Where profiles are kept, for those who may not import what knows profiles."""

import os
from pathlib import Path


def state_directory() -> Path:
    """Where profiles are kept; see cluster/profile.py Roots."""
    if home := os.environ.get("TIPHYS_HOME"):
        return Path(home).absolute() / "state"
    if os.geteuid() == 0:
        return Path("/var/lib/tiphys")
    base = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    return base / "tiphys" / "state"
