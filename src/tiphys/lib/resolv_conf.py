"""Which resolvers a machine really uses. Source: resolv.conf(5), systemd-resolved(8)."""

from collections.abc import Iterable
from ipaddress import ip_address
from pathlib import Path
from typing import Final

# systemd-resolved's list of real servers comes before the file that may name its stub.
RESOLVER_FILES: Final = (Path("/run/systemd/resolve/resolv.conf"), Path("/etc/resolv.conf"))


def real_resolvers(texts: Iterable[str]) -> tuple[str, ...]:
    """Nameservers of resolv.conf texts that are not on loopback; of the first that has any."""
    for text in texts:
        found = []
        for line in text.splitlines():
            words = line.split()
            if len(words) >= 2 and words[0] == "nameserver":
                try:
                    address = ip_address(words[1].partition("%")[0])
                except ValueError:
                    continue
                if not address.is_loopback:
                    found.append(str(address))
        if found:
            return tuple(found)
    return ()


def machine_resolvers(files: Iterable[Path] = RESOLVER_FILES) -> tuple[str, ...]:
    """Those of this machine; none when there are none."""
    return real_resolvers(p.read_text(errors="replace") for p in files if p.exists())
