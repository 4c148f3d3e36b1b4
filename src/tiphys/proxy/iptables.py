"""The iptables mode: a writer that runs iptables-restore, each time with the differences only.

Works with both kinds of iptables (nf_tables and legacy).
Upstream: pkg/proxy/iptables/proxier.go.
"""

import logging
import subprocess
from collections.abc import Mapping, Sequence
from typing import Final

from tiphys.proxy.change_tracker import FrontendChanges
from tiphys.proxy.iptables_rules import RuleSet, ours, own_lines, removal
from tiphys.proxy.plan import Backend, Frontend, Target
from tiphys.proxy.writer import ProxyError

log = logging.getLogger(__name__)

IPTABLES_RESTORE: Final = "/usr/sbin/iptables-restore"
IPTABLES_SAVE: Final = "/usr/sbin/iptables-save"
_LOCK_SECONDS: Final = 5  # How long to wait for others who change rules; upstream the same.
_SECONDS_MAX: Final = 120.0


class IptablesWriter:
    """See writer.Writer."""

    def __init__(self, cluster_cidr: str, service_cidr: str = "") -> None:
        self._cidrs = (cluster_cidr, service_cidr)
        self._rules = RuleSet(*self._cidrs)
        self._written: list[str] | None = None  # What iptables-save said about us afterwards.

    def load(self, frontends: Mapping[Frontend, Backend]) -> None:
        rules = RuleSet(*self._cidrs)
        rules.change(frontends)
        jumps, chains = ours(save())
        restore(rules.whole(jumps, chains.get("nat", [])))
        self._rules = rules
        self._written = own_lines(save())

    def change(self, changed: FrontendChanges) -> None:
        if text := self._rules.change(changed):
            restore(text)
            self._written = own_lines(save())

    def is_intact(self) -> bool:
        return own_lines(save()) == self._written

    def serving(self, frontend: Frontend, backend: Backend) -> tuple[Target, ...]:
        return backend.serving

    async def close(self) -> None:
        """Nothing is held."""


def remove() -> None:
    """Take all our rules away; none there is fine. Raises ProxyError."""
    jumps, chains = ours(save())
    if jumps or chains:
        restore(removal(jumps, chains))


def save() -> str:
    """What iptables-save prints. Raises ProxyError."""
    return _run([IPTABLES_SAVE])


def restore(text: str) -> None:
    """All of a table's lines, or none. Raises ProxyError with iptables' words."""
    _run([IPTABLES_RESTORE, "--noflush", "-w", str(_LOCK_SECONDS)], text)


def _run(command: Sequence[str], text: str = "") -> str:
    try:
        done = subprocess.run(
            command, input=text.encode(), capture_output=True, timeout=_SECONDS_MAX, check=False
        )
    except FileNotFoundError as exc:
        raise ProxyError(f"{command[0]} is missing: install the package iptables") from exc
    except subprocess.TimeoutExpired as exc:
        raise ProxyError(f"{command[0]} did not end in {_SECONDS_MAX:g} s") from exc
    if done.returncode != 0:
        words = done.stderr.decode(errors="replace").strip()
        raise ProxyError(f"{command[0]} refused the rules: {words}")
    return done.stdout.decode(errors="replace")
