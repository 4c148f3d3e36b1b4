"""Talking nf_tables with the kernel: transactions, the generation, what a table holds.

Source: linux/netfilter/nf_tables.h.
"""

import hashlib
import os
import socket
import struct
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from tiphys.lib.netlink.message import (
    NLM_F_REQUEST,
    NLMSG_ERROR,
    NetlinkError,
    attributes,
    error_number,
    message,
    messages,
    text,
)
from tiphys.lib.netlink.socket import NETLINK_NETFILTER, NetlinkSocket
from tiphys.proxy import nft_elements
from tiphys.proxy.layout import Client, Element
from tiphys.proxy.nft_elements import GET_ELEMENTS, NFNL_SUBSYS_NFTABLES, RawElement

_GET_TABLE, _GET_CHAIN, _GET_RULE, _NEW_GENERATION, _GET_GENERATION = (
    NFNL_SUBSYS_NFTABLES << 8 | number for number in (1, 4, 7, 15, 16)
)
_TABLE, _GENERATION_ID = 1, 1
# Of a chain its name, hook, policy and type; of a rule its chain and expressions.
_CHAIN_PARTS: Final = (3, 4, 5, 7)
_RULE_PARTS: Final = (2, 4)
_SEND_BUFFER_BYTES: Final = 16 << 20  # A transaction is one message; larger ones are refused.


class Transaction(NamedTuple):
    """Messages, and the sequence numbers of the first and of the one that is acknowledged."""

    data: bytes
    first: int
    last: int


class NftKernel:
    """The tables of the network namespace in which it was made."""

    def __init__(self) -> None:
        self._netlink = NetlinkSocket(NETLINK_NETFILTER)
        with suppress(OSError):  # Only root may; others get on with smaller transactions.
            self._netlink.set_send_buffer(_SEND_BUFFER_BYTES)
        # Far from the numbers that the socket gives to its dumps: late answers must not mix.
        self._sequence = 1 << 24

    def close(self) -> None:
        self._netlink.close()

    def prepare(self, table: str, delete: Sequence[Element], add: Sequence[Element]) -> Transaction:
        """Encode now what `commit` will send."""
        return self._numbered(nft_elements.batches(table, delete, add, self._sequence))

    def remove(self, table: str, set_name: str, keys: Sequence[bytes]) -> None:
        """Delete elements by the keys that `clients` gave. Raises OSError."""
        self.commit(self._numbered(nft_elements.removal(table, set_name, keys, self._sequence)))

    def _numbered(self, encoded: tuple[bytes, int]) -> Transaction:
        data, last = encoded
        found = Transaction(data, self._sequence, last)
        self._sequence = last + 2
        return found

    def commit(self, transaction: Transaction) -> None:
        """All or nothing. Raises OSError, also for what is not as expected."""
        answers = self._netlink.exchange(transaction.data)
        while True:
            for answer in messages(answers):
                if answer.type != NLMSG_ERROR or answer.sequence < transaction.first:
                    continue
                if number := error_number(answer.payload):
                    raise NetlinkError(number, f"set elements: {os.strerror(number)}")
                if answer.sequence == transaction.last:
                    return
            answers = self._netlink.receive()

    def generation(self) -> int:
        """Counts every transaction of anybody in this namespace."""
        self._sequence += 1
        head = struct.pack(">BBH", socket.AF_UNSPEC, 0, 0)
        asked = message(_GET_GENERATION, NLM_F_REQUEST, self._sequence, head)
        answers = self._netlink.exchange(asked)
        while True:
            for answer in messages(answers):
                if answer.type == _NEW_GENERATION and answer.sequence == self._sequence:
                    (found,) = struct.unpack(">I", attributes(answer.payload[4:])[_GENERATION_ID])
                    return int(found)
            answers = self._netlink.receive()

    def has_tables(self, *names: str) -> bool:
        """Whether the namespace has one of these tables of IPv4."""
        head = struct.pack(">BBH", socket.AF_INET, 0, 0)
        answers = self._netlink.dump(_GET_TABLE, head, "list tables")
        found = {attributes(a.payload[4:])[_TABLE].rstrip(b"\0").decode() for a in answers}
        return not found.isdisjoint(names)

    def rules_digest(self, table: str) -> bytes:
        """Of all chains and rules; equal as long as nobody changes one."""
        digest = hashlib.sha256()
        for kind, wanted in ((_GET_CHAIN, _CHAIN_PARTS), (_GET_RULE, _RULE_PARTS)):
            head = struct.pack(">BBH", socket.AF_INET, 0, 0) + text(_TABLE, table)
            for answer in self._netlink.dump(kind, head, f"list table {table}"):
                parts = attributes(answer.payload[4:])
                if parts[_TABLE].rstrip(b"\0").decode() == table:
                    digest.update(repr([parts.get(part) for part in wanted]).encode())
        return digest.digest()

    def elements(self, table: str, names: Iterable[str]) -> set[RawElement]:
        """The elements of some sets. Raises OSError when one is not there."""
        found: set[RawElement] = set()
        for name in names:
            asked = nft_elements.set_address(table, name)
            for answer in self._netlink.dump(GET_ELEMENTS, asked, f"list set {name}"):
                found.update(nft_elements.dumped(answer.payload))
        return found

    def clients(self, table: str, set_name: str) -> list[tuple[bytes, Client]]:
        """Who affinity remembers, each with the kernel's key. Raises OSError."""
        asked = nft_elements.set_address(table, set_name)
        return [
            client
            for answer in self._netlink.dump(GET_ELEMENTS, asked, f"list set {set_name}")
            for client in nft_elements.dumped_clients(answer.payload)
        ]
