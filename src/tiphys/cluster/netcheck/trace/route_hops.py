"""Routes and devices on the way, as each kernel decides. The questions are a thin shell's, what
answers mean is pure."""

from typing import Any

from tiphys.cluster.netcheck.place import Place, PlaceError
from tiphys.cluster.netcheck.probes import reaches
from tiphys.cluster.netcheck.trace.hop import Hop
from tiphys.network.plan import VXLAN_LINK, VXLAN_PORT


def ask(place: Place, destination: str, source: str = "", device: str = "") -> dict[str, Any] | str:
    """What `ip route get` says; in words why there is no way. device: where it comes in."""
    words = ["ip", "-j", "route", "get", destination]
    if source and device:
        words += ["from", source, "iif", device]
    try:
        found = place.json(words)
    except PlaceError as exc:
        return str(exc).rpartition("RTNETLINK answers: ")[2]
    return found[0] if found else "no answer"


def hop(place: Place, destination: str, seen: dict[str, Any] | str, links: dict[str, Any]) -> Hop:
    """Pure."""
    if isinstance(seen, str):
        what = f"no way to {destination}: {seen}"
        fix = ""
        if "No route to host" in seen and place.namespace is not None:
            what += "; does it forward at all? (net.ipv4.ip_forward)"
            fix = "tiphys net doctor --check sysctls --check routes"
        return Hop("route", place.name, False, what, fix)
    if seen.get("type") == "local":
        return Hop("route", place.name, True, f"{destination} is here")
    device = seen.get("dev", "")
    what = f"to {destination} over {device}"
    if seen.get("gateway"):
        what += f" via {seen['gateway']}"
    link = links.get(device, {})
    if link and "UP" not in link["flags"]:
        return Hop(
            "route",
            place.name,
            False,
            f"{what}, which is down",
            f"{place.prefix}ip link set {device} up",
        )
    if link and "LOWER_UP" not in link["flags"]:
        return Hop("route", place.name, False, f"{what}, whose other end is down")
    return Hop("route", place.name, True, f"{what}, MTU {link.get('mtu', '?')}")


def device_of(place: Place, destination: str) -> str:
    """By which link a place reaches an address: where packets from there come in."""
    seen = ask(place, destination)
    return "" if isinstance(seen, str) else str(seen.get("dev", ""))


def overlay_hop(place: Place, device: str, node: str, address: str) -> Hop | None:
    """The outer packet, where the way leads through the overlay."""
    if device != VXLAN_LINK:
        return None
    what = f"inside UDP to {node} ({address}:{VXLAN_PORT})"
    if reaches(place, address):
        return Hop("overlay", place.name, True, what)
    return Hop("overlay", place.name, False, f"{what}, which does not answer")


def links_of(place: Place) -> dict[str, Any]:
    return {one["ifname"]: one for one in place.links()}
