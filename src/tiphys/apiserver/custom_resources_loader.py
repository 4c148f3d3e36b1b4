"""Custom resources cost nothing until the first CustomResourceDefinition is there.

Then their package is loaded, and follows all definitions from there.
"""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from tiphys.storage.backend import Event
from tiphys.storage.store import resource_prefix

if TYPE_CHECKING:
    from tiphys.apiserver.custom_resources.definitions import Definitions
    from tiphys.apiserver.server import ApiServer

GROUP: Final = "apiextensions.k8s.io"
PLURAL: Final = "customresourcedefinitions"
DEFINITIONS: Final = resource_prefix(GROUP, PLURAL)


class CustomResources:
    """See the module. `definitions` is None while there are none."""

    def __init__(self, server: "ApiServer") -> None:
        self._server = server
        self._needed = asyncio.Event()
        self.definitions: Definitions | None = None

    def follow(self, events: Sequence[Event]) -> None:
        """A listener of the store."""
        if self.definitions is not None:
            self.definitions.follow(events)
        elif any(event.key.startswith(DEFINITIONS) for event in events):
            self._needed.set()

    async def settled(self) -> None:
        """Return once the definitions that the cache shows are served, or cannot be."""
        if self._needed.is_set() or self.definitions is not None:
            await self._load().settled()

    async def start(self) -> None:
        """Serve what is defined already. Raises StorageError."""
        if self._server.endpoints[GROUP, "v1", PLURAL].cache.objects:
            await self._load().sync()

    async def run(self) -> None:
        """Until cancelled."""
        if self.definitions is None:
            await self._needed.wait()
        await self._load().run()

    def _load(self) -> "Definitions":
        if self.definitions is None:
            from tiphys.apiserver.custom_resources.definitions import Definitions

            self.definitions = Definitions(self._server)
        return self.definitions
