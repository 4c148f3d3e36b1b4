"""The nftables mode: a writer that keeps the table equal to a layout.

The whole table is loaded in one transaction at start; after that only elements change. Rules
never name a Service: Services are elements of maps.
Upstream: pkg/proxy/nftables/proxier.go.
"""

import errno
import logging
import subprocess
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from tiphys.proxy import nft_elements
from tiphys.proxy.change_tracker import FrontendChanges
from tiphys.proxy.layout import DROP, REJECT_CHAIN, Client, Element, Forgotten, Layout
from tiphys.proxy.nft_kernel import NftKernel
from tiphys.proxy.nft_table import AFFINITY, SETS, TABLE, first_chains, ruleset
from tiphys.proxy.plan import Backend, Frontend, Target
from tiphys.proxy.writer import ProxyError

log = logging.getLogger(__name__)

NFT: Final = "/usr/sbin/nft"
_NFT_SECONDS_MAX: Final = 60.0
# The nft command takes 15 us for each element; more are added in a transaction of their own, and
# until it is committed new connections find no Service.
ELEMENTS_AS_TEXT_MAX: Final = 5000
_FORGET_ATTEMPTS_MAX: Final = 5


class NftablesWriter:
    """See writer.Writer."""

    def __init__(self, cluster_cidr: str, *, masquerade: bool = True) -> None:
        """masquerade=False where packets only go to this node's own sockets."""
        self._cluster_cidr = cluster_cidr
        self._masquerade = masquerade
        self._layout = Layout()
        self._kernel = NftKernel()
        self._chains: set[str] = set()
        self._generation = -1  # The kernel's, if only we have changed anything.
        self._rules = b""

    def load(self, frontends: Mapping[Frontend, Backend]) -> None:
        layout = Layout()
        layout.load(frontends)
        self._load(layout)

    def _load(self, layout: Layout) -> None:
        elements = list(layout.elements())
        many = elements if len(elements) > ELEMENTS_AS_TEXT_MAX else []
        chains = {*first_chains(), *_chains_of(elements)}
        text = ruleset(
            () if many else elements,
            sorted(chains),
            self._cluster_cidr,
            masquerade=self._masquerade,
            clients=[client for _, client in self._clients() if layout.may_stay(client)],
        )
        transaction = self._kernel.prepare(TABLE, (), many)
        run_nft(text)
        self._layout, self._chains = layout, chains
        try:
            if many:
                self._kernel.commit(transaction)
            self._generation = self._kernel.generation()
            self._rules = self._kernel.rules_digest(TABLE)
        except OSError as exc:
            raise ProxyError(f"the table {TABLE} cannot be filled: {exc}") from exc

    def change(self, changed: FrontendChanges) -> None:
        changes = self._layout.change(changed)
        if not _chains_of(changes.add) <= self._chains:
            self._load(self._layout)
            return
        try:
            if changes.delete or changes.add:
                self._kernel.commit(self._kernel.prepare(TABLE, changes.delete, changes.add))
                self._generation += 1
            if changes.forget:
                self._forget(set(changes.forget))
        except OSError as exc:
            raise ProxyError(f"the kernel refused elements of the table {TABLE}: {exc}") from exc

    def is_intact(self) -> bool:
        """Reads only a counter as long as nobody else changed any table."""
        try:
            generation = self._kernel.generation()
            if generation == self._generation:
                return True
            if self._kernel.rules_digest(TABLE) != self._rules:
                return False
            wanted = {nft_elements.raw(e) for e in self._layout.elements()}
            if self._kernel.elements(TABLE, SETS) != wanted:
                return False
        except OSError:  # A set is not there.
            return False
        self._generation = generation
        return True

    def serving(self, frontend: Frontend, backend: Backend) -> tuple[Target, ...]:
        return backend.serving

    async def close(self) -> None:
        self._kernel.close()

    def _clients(self) -> list[tuple[bytes, Client]]:
        try:
            return self._kernel.clients(TABLE, AFFINITY)
        except OSError:
            return []  # No table yet, or not any more.

    def _forget(self, forgotten: Collection[Forgotten]) -> None:
        """Clients of targets that are gone choose anew."""
        for _ in range(_FORGET_ATTEMPTS_MAX):
            keys = [
                key
                for key, client in self._kernel.clients(TABLE, AFFINITY)
                if Forgotten(client.frontend, client.target) in forgotten
            ]
            if not keys:
                return
            try:
                self._kernel.remove(TABLE, AFFINITY, keys)
                self._generation += 1
                return
            except OSError as exc:
                if exc.errno != errno.ENOENT:
                    raise
                continue  # One timed out between reading and deleting.


def _chains_of(elements: Iterable[Element]) -> set[str]:
    verdicts = {value for _, _, value in elements if isinstance(value, str)}
    return verdicts - {DROP, REJECT_CHAIN}


def remove() -> None:
    """Take the table away; none there is fine. Raises ProxyError."""
    run_nft(f"table ip {TABLE}\ndelete table ip {TABLE}\n")


def run_nft(text: str) -> None:
    """Raises ProxyError with nft's words."""
    try:
        done = subprocess.run(
            [NFT, "-f", "-"],
            input=text.encode(),
            capture_output=True,
            timeout=_NFT_SECONDS_MAX,
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        raise ProxyError(f"{NFT} did not end in {_NFT_SECONDS_MAX:g} s") from exc
    except OSError as exc:
        if exc.errno == errno.ENOENT:
            raise ProxyError(f"{NFT} is missing: install the package nftables") from exc
        raise
    if done.returncode != 0:
        raise ProxyError(f"nft refused the rules: {done.stderr.decode(errors='replace').strip()}")
