"""What a mode must do: keep the kernel (or its own sockets) equal to the frontends it was given."""

from collections.abc import Mapping
from typing import Protocol

from tiphys.proxy.change_tracker import FrontendChanges
from tiphys.proxy.plan import Backend, Frontend, Target


class ProxyError(Exception):
    """The rules were not written: what was refused, and what to do."""


class Writer(Protocol):
    """Works in the network namespace in which it was made; rules stay when it is closed."""

    def load(self, frontends: Mapping[Frontend, Backend]) -> None:
        """Write everything anew, whatever is there. Raises ProxyError; then the old state stays."""

    def change(self, changed: FrontendChanges) -> None:
        """Write what differs from before. Raises ProxyError; then `load` is due."""

    def is_intact(self) -> bool:
        """Whether what was written is still there, unchanged by others."""

    def serving(self, frontend: Frontend, backend: Backend) -> tuple[Target, ...]:
        """Who may answer a frontend's packets, as connection tracking sees it."""

    async def close(self) -> None:
        """Let go of sockets; rules stay."""
