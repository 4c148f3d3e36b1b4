"""What the status of an Ingress must say. Pure. Source: ingress-nginx internal/ingress/status."""

from tiphys.api.meta import Obj, at


def wanted(address: str) -> list[Obj]:
    return [{"ip": address}]


def differs(ingress: Obj, address: str) -> bool:
    """Whether it shows another address, or none."""
    shown = at(ingress, "status", "loadBalancer", "ingress", default=[])
    return [one.get("ip") for one in shown] != [address]
