"""The seam between the controller and who moves the bytes."""

from dataclasses import dataclass
from typing import Protocol

from tiphys.ingress.table import Certificate, Plan


class DataPlaneError(Exception):
    """A data plane cannot do what it is told: why, and what to do next."""


@dataclass(frozen=True, slots=True)
class Listening:
    """Where requests come to, and the certificate of hosts without one."""

    address: str
    http_port: int
    https_port: int
    certificate: Certificate


class DataPlane(Protocol):
    """One behaviour, held to it by tests/component/ingress."""

    async def start(self) -> None:
        """Listen; everything is 404 until a plan comes. Raises DataPlaneError."""
        ...

    async def apply(self, plan: Plan) -> None:
        """Obey a plan for whatever comes from now on; what is under way goes on.

        Raises DataPlaneError; the plan of before is then still obeyed.
        """
        ...

    async def ended(self) -> None:
        """Return when it has ended by itself and must be made anew."""
        ...

    async def close(self) -> None:
        """End, after what is under way or a few seconds."""
        ...
