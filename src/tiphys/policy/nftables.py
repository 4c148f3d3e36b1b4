"""Keeps the table of policies equal to a plan, in the network namespace of the calling process."""

import subprocess
from pathlib import Path
from typing import Final

from tiphys.policy.layout import Layout, difference, layout, removal, whole
from tiphys.policy.plan import Plan

NFT: Final = "/usr/sbin/nft"
_SECONDS_MAX: Final = 60.0


class PolicyError(OSError):
    """The kernel does not hold what the policies ask for; the message says why."""


class NftablesWriter:
    """The first write replaces what an earlier process left; later ones are differences."""

    def __init__(self) -> None:
        self._present: Layout | None = None  # None: unknown.

    def write(self, plan: Plan) -> bool:
        """Whether anything changed. Raises PolicyError; the next write then begins anew."""
        wanted, present = layout(plan), self._present
        if wanted == present:
            return False
        if wanted.is_empty:
            text = removal()
        elif present is None or present.is_empty:
            text = whole(wanted)
        else:
            text = difference(present, wanted)
        self._present = None
        _run(text)
        self._present = wanted
        return True


def remove() -> None:
    """Take the table away; none there is fine, and so is no nft. Raises PolicyError."""
    if Path(NFT).exists():
        _run(removal())


def _run(text: str) -> None:
    try:
        done = subprocess.run(
            [NFT, "-f", "-"],
            input=text.encode(),
            capture_output=True,
            timeout=_SECONDS_MAX,
            check=False,
        )
    except FileNotFoundError as exc:
        raise PolicyError(f"{NFT} is missing: install the package nftables") from exc
    except subprocess.TimeoutExpired as exc:
        raise PolicyError(f"{NFT} did not end in {_SECONDS_MAX:g} s") from exc
    if done.returncode != 0:
        words = done.stderr.decode(errors="replace").strip()
        raise PolicyError(f"nft refused the rules of the policies: {words}")
