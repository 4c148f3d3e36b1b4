"""Keeps a node's rules equal to the Services and EndpointSlices that it is told of.

Upstream: Proxier of pkg/proxy/nftables/proxier.go, as far as it is the same in all modes.
"""

import gc
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tiphys.api.meta import Obj
from tiphys.proxy.change_tracker import ChangeTracker, FrontendChanges, Services
from tiphys.proxy.plan import NodeView
from tiphys.proxy.writer import ProxyError, Writer

if TYPE_CHECKING:
    from tiphys.proxy.conntrack import Conntrack
    from tiphys.proxy.health_check import HealthChecks

log = logging.getLogger(__name__)


@contextmanager
def _without_collection() -> Iterator[None]:
    """Many objects are made at once and all are kept: looking for garbage takes half the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class Proxier:
    """Works in the network namespace in which it was made."""

    def __init__(self, node: NodeView, services: Services, writer: Writer) -> None:
        self._services = services
        self._writer = writer
        self._tracker = ChangeTracker(node)
        self._whole = True  # Whether everything must be written anew.
        self._healthy = True
        # Made when they are first needed, and their modules imported then.
        self._conntrack: Conntrack | None = None
        self._checks: HealthChecks | None = None

    def service_changed(self, old: Obj | None, new: Obj | None) -> None:
        self._tracker.service_changed(old, new)

    def slice_changed(self, old: Obj | None, new: Obj | None) -> None:
        self._tracker.slice_changed(old, new)

    async def sync(self) -> None:
        """Write what is wanted now; nothing where nothing differs. Raises ProxyError."""
        with _without_collection():
            changed = self._tracker.take(self._services)
            self._healthy = False
            whole = self._write(changed)
            if whole:
                # All of it stays until its Service goes, and has no cycles: with 10,000 Services
                # every full collection would look at a million objects for a quarter of a second.
                gc.freeze()
        self._healthy = True
        if whole or any(frontend.protocol == "udp" for frontend in changed):
            self._forget_flows()
        await self._update_health_checks()

    def check(self) -> bool:
        """Whether the rules are as written; when not, the next sync writes all of them."""
        if self._whole or self._writer.is_intact():
            return True
        self._whole = True
        return False

    async def close(self) -> None:
        """The rules stay: traffic goes on."""
        await self._writer.close()
        if self._checks is not None:
            await self._checks.close()
        if self._conntrack is not None:
            self._conntrack.close()

    def _write(self, changed: FrontendChanges) -> bool:
        """Whether everything was written."""
        if not self._whole and changed:
            try:
                self._writer.change(changed)
            except ProxyError as exc:
                # Somebody changed the rules: what we know of them is worth nothing.
                log.warning("changes refused, writing everything", extra={"why": str(exc)})
                self._whole = True
        if not self._whole:
            return False
        self._writer.load(self._tracker.frontends())
        self._whole = False
        return True

    def _forget_flows(self) -> None:
        serving = {
            frontend: self._writer.serving(frontend, backend)
            for frontend, backend in self._tracker.frontends().items()
            if frontend.protocol == "udp"
        }
        if not serving:
            return
        from tiphys.proxy.conntrack import Conntrack

        try:
            if self._conntrack is None:
                self._conntrack = Conntrack()
            self._conntrack.clean(serving)
        except OSError as exc:
            log.warning("flows to old endpoints may go on", extra={"why": str(exc)})

    async def _update_health_checks(self) -> None:
        checks = self._tracker.health_checks()
        if checks and self._checks is None:
            from tiphys.proxy.health_check import HealthChecks

            self._checks = HealthChecks(lambda: self._healthy)
        if self._checks is not None:
            await self._checks.update(checks)
