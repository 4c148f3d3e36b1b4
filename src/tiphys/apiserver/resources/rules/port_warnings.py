"""Ports of a pod's containers that are in each other's way.

Upstream: pkg/api/pod/warnings.go.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from tiphys.api.meta import Obj


def port_warnings(containers: Iterable[tuple[Obj, str]]) -> Iterator[str]:
    """Of containers and where each is."""
    found = [
        (port, f"{place}.ports[{index}]")
        for container, place in containers
        for index, port in enumerate(container.get("ports") or ())
    ]
    alike: defaultdict[tuple[int, str], _Alike] = defaultdict(_Alike)
    for index, (port, where) in enumerate(found):
        if port.get("hostIP") and not port.get("hostPort"):
            yield f"{where}: hostIP set without hostPort: {_shown(port)}"
        others = alike[port.get("containerPort", 0), port.get("protocol", "")]
        for other in others.in_the_way(port):
            there, place = found[other]
            yield f"{where}: {_conflict(port, there)} port definition with {place}"
        others.add(port, index)
    yield from _repeated_names(found)


class _Alike:
    """Places in a list of the ports that have one number and protocol.

    Held so that all that is found is told of: ports that are not in each other's way are not
    compared, for there may be many thousands.
    """

    def __init__(self) -> None:
        self._all: list[int] = []
        # By number and address on the host: "" for no address, None for any.
        self._at: defaultdict[tuple[int, str | None], list[int]] = defaultdict(list)

    def add(self, port: Obj, index: int) -> None:
        number, address = _on_host(port)
        self._all.append(index)
        self._at[number, address].append(index)
        self._at[number, None].append(index)

    def in_the_way(self, port: Obj) -> list[int]:
        """Those before it that _conflict has a word for, first things first."""
        number, address = _on_host(port)
        if not number:
            return list(self._all)
        places = [(0, None), (number, address), (number, "")] if address else [(0, None)]
        places += [] if address else [(number, None)]
        return sorted(index for place in places for index in self._at.get(place, ()))


def _on_host(port: Obj) -> tuple[int, str]:
    return port.get("hostPort", 0), port.get("hostIP", "")


def _conflict(port: Obj, other: Obj) -> str:
    """How two ports with one number and protocol, of which _Alike knows, are in the way."""
    (number, address), (number_there, address_there) = _on_host(port), _on_host(other)
    if (number, address) == (number_there, address_there):
        return "duplicate"
    return "dangerously ambiguous" if number and number_there else "overlapping"


def _repeated_names(ports: Iterable[tuple[Obj, str]]) -> Iterator[str]:
    places: dict[str, str] = {}
    for port, where in ports:
        label = port.get("name", "")
        if label and label in places:
            place = places[label]
            yield (
                f'{where}: duplicate port name "{label}" with {place}, services and probes that '
                f"select ports by name will use {place}"
            )
        elif label:
            places[label] = where


def _shown(port: Obj) -> str:
    """As Go prints the struct."""
    label, protocol, address = (port.get(f, "") for f in ("name", "protocol", "hostIP"))
    number, inside = port.get("hostPort", 0), port.get("containerPort", 0)
    ports = f"HostPort:{number} ContainerPort:{inside}"
    return f"{{Name:{label} {ports} Protocol:{protocol} HostIP:{address}}}"
