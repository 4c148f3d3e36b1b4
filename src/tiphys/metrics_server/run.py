"""Runs the metrics server: scrape every kubelet, answer the API server."""

import logging
from typing import Final

from tiphys.api.errors import ApiError
from tiphys.api.meta import Obj
from tiphys.client.delegated_access import Gate
from tiphys.client.metrics_page import MetricsPage
from tiphys.client.rest import Client
from tiphys.lib.clock import Clock, SystemClock
from tiphys.lib.http.server import HttpServer
from tiphys.lib.tasks import TaskSet, keep_running
from tiphys.lib.tls import LeafVerifier, client_context, server_context
from tiphys.metrics_server.config import MetricsServerConfig
from tiphys.metrics_server.history import History
from tiphys.metrics_server.history_api import HistoryApi
from tiphys.metrics_server.metrics_api import MetricsApi
from tiphys.metrics_server.minutes import Minute, usage_by_series
from tiphys.metrics_server.points import Points, taken
from tiphys.metrics_server.scrape import Scraper
from tiphys.metrics_server.server import FrontProxy, MetricsServer

log = logging.getLogger(__name__)

FIRST_SECONDS: Final = 2.0  # Between the first two points of a node.
API_RETRY_SECONDS: Final = 1.0  # While the API server does not say which nodes there are.


class Collector:
    """Holds the newest points."""

    def __init__(
        self,
        client: Client,
        scraper: Scraper,
        history: History,
        clock: Clock,
        resolution_seconds: float,
    ) -> None:
        self._history = history
        self._minute = Minute()
        self._client = client
        self._scraper = scraper
        self._clock = clock
        self._resolution_seconds = resolution_seconds
        self.points = Points()
        self.nodes: list[Obj] = []

    async def run(self) -> None:
        """One round each resolution_seconds, sooner while a node is new; until cancelled."""
        while True:
            began = self._clock.monotonic()
            try:
                nodes = (await self._client.request("GET", "/api/v1/nodes"))["items"]
            except ApiError as exc:
                log.info("nodes not listed", extra={"why": exc.message})
                await self._clock.sleep(API_RETRY_SECONDS)
                continue
            self.nodes = nodes
            scraped = await self._scraper.scrape(nodes, self._clock.now().timestamp())
            self.points = taken(self.points, scraped)
            self._remember()
            settled = self.points.nodes and self.points.is_settled
            seconds = self._resolution_seconds if settled else FIRST_SECONDS
            passed = self._clock.monotonic() - began
            await self._clock.sleep(max(0.0, seconds - passed))

    def _remember(self) -> None:
        """Put the minute that has ended into the history."""
        minute = int(self._clock.now().timestamp()) // 60
        try:
            self._history.write(self._minute.add(minute, usage_by_series(self.points)))
        except OSError as exc:
            log.warning("history not written", extra={"why": str(exc)})


async def run(config: MetricsServerConfig, client: Client) -> None:
    """Until cancelled. Raises OSError when the address is taken or a file is missing."""
    clock = SystemClock()
    kubelets = client_context(
        config.kubelet_ca, config.kubelet_client_cert, config.kubelet_client_key
    )
    scraper = Scraper(kubelets)
    history = History(config.history_file)
    collector = Collector(client, scraper, history, clock, config.resolution_seconds)
    proxy = FrontProxy(
        LeafVerifier.from_file(config.requestheader_ca), config.requestheader_allowed_names, clock
    )
    gate = Gate(client, clock, config.client_ca)
    server = MetricsServer(
        proxy,
        MetricsApi(client, clock, lambda: collector.points),
        HistoryApi(history, clock),
        gate,
        MetricsPage(scraper.families, gate),
        lambda: collector.nodes,
    )
    http = HttpServer(
        server.answer,
        tls=server_context(
            config.tls_cert, config.tls_key, [config.requestheader_ca, config.client_ca]
        ),
    )
    tasks = TaskSet()
    try:
        await http.listen(config.host, config.port)
        await tasks.start(keep_running("scrape", collector.run), "scrape")
    finally:
        await http.stop()
        await tasks.close()
        scraper.close()
        history.close()
