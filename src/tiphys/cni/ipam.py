"""Pod addresses of one node: one file per address, named after it, holding the sandbox's id.

Files survive the runtime, so an address in use is never given twice. The search goes on after the
last address given, so that a freed one rests as long as possible. Upstream: CNI host-local.
"""

import os
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path


class AddressesExhausted(OSError):
    """Every address of the node's range is in use."""


class AddressPool:
    def __init__(self, directory: Path, network: IPv4Network) -> None:
        self.network = network
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self._owners = {
            path.name: path.read_text(errors="replace")
            for path in directory.iterdir()
            if not path.name.startswith(".") and path.stat().st_size
        }
        self._last = _number(directory / ".last")

    def allocate(self, owner: str) -> str:
        """The owner's address, the same one when it has one. Raises AddressesExhausted."""
        for address, holder in self._owners.items():
            if holder == owner and IPv4Address(address) in self.network:
                return address
        # Without the network's own address, the gateway's by custom, and the broadcast address.
        size = self.network.num_addresses - 3
        for step in range(size):
            offset = (self._last + step) % size
            address = str(self.network[offset + 2])
            if address not in self._owners:
                self._take(address, owner, (offset + 1) % size)
                return address
        raise AddressesExhausted(f"no free address in {self.network}: {size} pods run already")

    def release(self, owner: str) -> None:
        for address in [a for a, holder in self._owners.items() if holder == owner]:
            del self._owners[address]
            (self._directory / address).unlink(missing_ok=True)

    def owners(self) -> dict[str, str]:
        """Address -> sandbox id."""
        return dict(self._owners)

    def _take(self, address: str, owner: str, next_offset: int) -> None:
        path = self._directory / address
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "w") as file:
            file.write(owner)
        self._owners[address] = owner
        self._last = next_offset
        (self._directory / ".last").write_text(str(next_offset))


def _number(path: Path) -> int:
    """Where the search goes on; from the beginning where the file is gone or damaged."""
    try:
        return max(int(path.read_text() or 0), 0)
    except (FileNotFoundError, ValueError):
        return 0
