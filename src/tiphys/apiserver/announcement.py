"""What a server does beside answering: it says that it serves, which addresses are used, and which
are used wrongly.
"""

import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from tiphys.apiserver.bootstrap import Bootstrap
from tiphys.apiserver.config import ApiServerConfig
from tiphys.apiserver.endpoint_reconciler import EndpointReconciler
from tiphys.apiserver.identity_lease import GROUP, IdentityLease
from tiphys.apiserver.ip_addresses import GROUP as IP_GROUP
from tiphys.apiserver.ip_addresses import IpAddresses
from tiphys.apiserver.server import ApiServer
from tiphys.apiserver.service_repair import ServiceRepair
from tiphys.lib.tasks import TaskSet


@asynccontextmanager
async def announced(config: ApiServerConfig, server: ApiServer) -> AsyncIterator[None]:
    """Keep its identity lease, the IPAddress objects, events about numbers of Services and, on a
    shared store, its place behind `kubernetes`.
    """
    store, clock = server.store, server.clock
    bootstrap = Bootstrap(store, server.endpoints, clock, server.rng)
    hostname = config.hostname or socket.gethostname()
    leases = server.endpoints[GROUP, "v1", "leases"]
    tasks = TaskSet()
    tasks.start(IdentityLease(store, bootstrap, leases, hostname, clock).run(), "identity lease")
    records = IpAddresses(
        store,
        bootstrap,
        server.endpoints[IP_GROUP, "v1", "ipaddresses"],
        server.endpoints["", "v1", "services"],
    )
    tasks.start(records.run(clock), "IPAddress objects")
    repair = ServiceRepair(bootstrap, server.endpoints, server.addresses, config, hostname)
    tasks.start(repair.run(clock), "events about numbers of Services")
    async with AsyncExitStack() as stack:
        stack.push_async_callback(tasks.close)
        if store.is_shared:
            address, port = config.advertise_address, config.advertise_port
            await stack.enter_async_context(EndpointReconciler(store, bootstrap, address, port))
        yield
