"""Loading rules where nobody is, to list them as the kernel understands them. Thin shell.

The namespace lives as long as the command: nothing of the machine changes.
"""

from tiphys.cluster.netcheck.place import Place, PlaceError, run


def nft_table(text: str, table: str) -> str:
    """What nft lists after loading text. Raises PlaceError."""
    script = f"nft -f - && nft -s list table ip {table}"
    return run(["unshare", "--net", "sh", "-c", script], text, "a namespace for comparing")


def iptables(text: str) -> str:
    """What iptables-save prints after loading text. Raises PlaceError."""
    script = "iptables-restore --noflush && iptables-save"
    return run(["unshare", "--net", "sh", "-c", script], text, "a namespace for comparing")


def seen_table(place: Place, table: str) -> str | None:
    """A table of a place; None where there is none."""
    try:
        return place.run(["nft", "-s", "list", "table", "ip", table])
    except PlaceError:
        return None
