"""The userspace mode: every connection goes through this process, which takes turns exactly.

The nftables table sends each frontend to our sockets instead of to endpoints; what is refused or
dropped, and who may come, is still decided in the kernel. Endpoints see the node as the client.
Upstream: pkg/proxy/userspace (up to v1.25). Differs: one listener for all TCP frontends.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

from tiphys.proxy.change_tracker import FrontendChanges
from tiphys.proxy.nftables import NftablesWriter
from tiphys.proxy.plan import Backend, Frontend, NodeView, Target
from tiphys.proxy.round_robin import RoundRobin
from tiphys.proxy.tcp_balancer import TcpBalancer
from tiphys.proxy.udp_balancer import UdpBalancer
from tiphys.proxy.writer import ProxyError


def redirected(backend: Backend, listener: Target) -> Backend:
    """A backend whose only endpoint is our socket; which one is meant is decided there."""
    here = (listener,)
    return replace(
        backend,
        targets=here if backend.targets else (),
        near=here if backend.near and not backend.targets else None,
        masquerade=False,
        sticky_seconds=0,
        hairpin=(),
    )


class UserspaceWriter:
    """See writer.Writer. Needs a running loop; traffic ends with it."""

    def __init__(self, node: NodeView, cluster_cidr: str) -> None:
        self._node = node
        self._cluster = IPv4Network(cluster_cidr)
        self._address = node.addresses[0]
        self._backends: dict[Frontend, Backend] = {}
        self._turns = RoundRobin()
        self._loop = asyncio.get_running_loop()
        self._tcp = TcpBalancer(self._address, self._choose)
        self._udp = UdpBalancer(self._address, self._choose)
        self._rules = NftablesWriter(cluster_cidr, masquerade=False)

    def load(self, frontends: Mapping[Frontend, Backend]) -> None:
        gone: FrontendChanges = dict.fromkeys(self._backends.keys() - frontends.keys())
        self._take(gone)
        self._take(frontends)
        self._rules.load({f: self._redirected(f, b) for f, b in frontends.items()})

    def change(self, changed: FrontendChanges) -> None:
        self._take(changed)
        self._rules.change(
            {f: None if b is None else self._redirected(f, b) for f, b in changed.items()}
        )

    def is_intact(self) -> bool:
        return self._rules.is_intact()

    def serving(self, frontend: Frontend, backend: Backend) -> tuple[Target, ...]:
        return self._redirected(frontend, backend).targets

    async def close(self) -> None:
        self._udp.close()
        await self._tcp.close()
        await self._rules.close()

    def _take(self, changed: FrontendChanges) -> None:
        for frontend, backend in changed.items():
            if backend is None:
                self._backends.pop(frontend, None)
                self._turns.forget(frontend)
                self._udp.forget(frontend)
            else:
                self._backends[frontend] = backend
                if frontend.protocol == "udp":
                    self._udp.keep_only(frontend, backend.serving)

    def _redirected(self, frontend: Frontend, backend: Backend) -> Backend:
        if frontend.protocol == "tcp":
            return redirected(backend, Target(self._address, self._tcp.port))
        try:
            return redirected(backend, Target(self._address, self._udp.listen(frontend)))
        except OSError as exc:
            raise ProxyError(f"no socket for {frontend.address}:{frontend.port}: {exc}") from exc

    def _choose(self, frontend: Frontend, client: str, again: bool = False) -> Target | None:
        backend = self._backends.get(frontend)
        if backend is None:
            return None
        if again:
            self._turns.leave(frontend, client)
        near = client in self._node.addresses or IPv4Address(client) in self._cluster
        return self._turns.pick(frontend, backend, client, near=near, now=self._loop.time())
