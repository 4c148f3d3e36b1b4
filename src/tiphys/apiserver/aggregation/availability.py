"""Keeps each APIService's condition Available, and what its server says that it serves.

One loop: look at the Service and its endpoints, then ask the server for its discovery document,
which is both the check and what our own discovery shows.
Upstream: kube-aggregator pkg/controllers/status/remote/remote_available_controller.go.
"""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

import orjson

from tiphys.api.errors import ApiError
from tiphys.api.meta import Obj, condition, rfc3339
from tiphys.apiserver.aggregation.aggregation import Aggregation, Unresolved
from tiphys.apiserver.aggregation.remote import Remote
from tiphys.apiserver.endpoint import Endpoint
from tiphys.apiserver.user import User
from tiphys.apiserver.writes import encoded
from tiphys.lib.clock import Clock
from tiphys.lib.http.client import Answer, HttpClient, HttpError
from tiphys.lib.http.message import Headers
from tiphys.storage.backend import Event, RevisionMismatch, StorageError
from tiphys.storage.store import Store, resource_prefix

log = logging.getLogger(__name__)

CHECK_SECONDS_MAX: Final = 5.0  # Upstream's discovery timeout.
CHECKS_MAX: Final = 8  # Servers that are asked at the same time.
OPENAPI_V3: Final = "/openapi/v3"
RESYNC_SECONDS: Final = 30.0  # Upstream's resync of its informers.
RETRY_SECONDS: Final = 1.0  # While one is not available.
# As whom upstream's check asks.
CHECKER: Final = User("system:kube-aggregator", ("system:masters",))
_BEHIND: Final = (
    resource_prefix("", "services"),
    resource_prefix("discovery.k8s.io", "endpointslices"),
)


class Finding(NamedTuple):
    """What the condition is to say; `document` is the server's APIResourceList."""

    status: str
    reason: str
    message: str
    document: Obj | None = None


class Availability:
    """See the module. `documents` are the last answers of available servers, by group, version."""

    def __init__(
        self, aggregation: Aggregation, store: Store, api_services: Endpoint, clock: Clock
    ) -> None:
        self._aggregation = aggregation
        self._store = store
        self._api_services = api_services
        self._clock = clock
        self._wake = asyncio.Event()
        self.documents: dict[tuple[str, str], Obj] = {}
        self.described: set[tuple[str, str]] = set()  # Those with a document of OpenAPI v3.
        aggregation.changed.append(self.wake)

    def wake(self) -> None:
        """Look again at once."""
        self._wake.set()

    def follow(self, events: Sequence[Event]) -> None:
        """A listener of the store: Services and endpoints behind APIServices have changed."""
        namespaces = {r.namespace for r in self._aggregation.remotes.values()}
        for event in events if namespaces else ():
            for prefix in _BEHIND:
                if event.key.startswith(prefix):
                    namespace = event.key[len(prefix) :].partition("/")[0]
                    if namespace in namespaces:
                        self.wake()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._wake.clear()
            all_available = await self.check_all()
            seconds = RESYNC_SECONDS if all_available else RETRY_SECONDS
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), seconds)

    async def check_all(self) -> bool:
        """Whether all are available."""
        remotes = list(self._aggregation.remotes.values())
        turns = asyncio.Semaphore(CHECKS_MAX)

        async def one(remote: Remote) -> bool:
            async with turns:
                found = await self._check(remote)
            if found.document is not None:
                self.documents[remote.key] = found.document
            await self._write(remote, found)
            return found.status == "True"

        answers = await asyncio.gather(*(one(remote) for remote in remotes))
        for gone in self.documents.keys() - {r.key for r in remotes}:
            del self.documents[gone]
            self.described.discard(gone)
        return all(answers)

    async def _check(self, remote: Remote) -> Finding:
        where = f"https://{remote.server_name}:{remote.port}{remote.path}"
        try:
            target = self._aggregation.target(remote, remote.path, CHECKER)
            client = HttpClient(
                f"https://{target.host}:{target.port}",
                tls=target.tls,
                server_hostname=target.server_name,
            )
            try:
                answer = await _get(client, remote.path, target.headers)
                await self._look_for_openapi(client, remote, target.headers)
            finally:
                client.close()
        except Unresolved as error:
            return Finding("False", error.reason, error.message)
        except (HttpError, TimeoutError, ApiError, ValueError) as error:
            return _failed(where, str(error))
        if not 200 <= answer.status < 300:
            return _failed(where, f"bad status from {where}: {answer.status}")
        try:
            document = orjson.loads(answer.body)
        except orjson.JSONDecodeError:
            document = None
        usable = isinstance(document, dict) and isinstance(document.get("resources"), list)
        return Finding("True", "Passed", "all checks passed", document if usable else None)

    async def _look_for_openapi(self, client: HttpClient, remote: Remote, headers: Headers) -> None:
        """Upstream: kube-aggregator pkg/controllers/openapiv3/aggregator."""
        self.described.discard(remote.key)
        answer = await _get(client, OPENAPI_V3, headers)
        with contextlib.suppress(orjson.JSONDecodeError):
            index = orjson.loads(answer.body) if answer.status == 200 else None
            if isinstance(index, dict) and remote.path.strip("/") in (index.get("paths") or {}):
                self.described.add(remote.key)

    async def _write(self, remote: Remote, found: Finding) -> None:
        endpoint = self._api_services
        key = endpoint.key("", f"{remote.version}.{remote.group}")
        cached = endpoint.cache.get(key)
        if cached is None:
            return
        new = with_condition(endpoint.decode(cached), found, self._clock.now())
        if new is None:
            return
        try:
            await self._store.update(endpoint.cache, key, encoded(endpoint, new), cached.revision)
        except RevisionMismatch:
            self.wake()  # Somebody wrote it: look again.
        except StorageError as error:
            log.warning("APIService not written", extra={"key": key, "why": str(error)})


async def _get(client: HttpClient, path: str, headers: Headers) -> Answer:
    return await client.request(
        "GET", path, headers=dict(headers), timeout_seconds=CHECK_SECONDS_MAX
    )


def _failed(where: str, why: str) -> Finding:
    text = f"failing or missing response from {where}: {why}"
    return Finding("False", "FailedDiscoveryCheck", text)


def with_condition(api_service: Obj, found: Finding, now: datetime) -> Obj | None:
    """The object with its condition as found; None where it says so already."""
    old = condition(api_service, "Available") or {}
    wanted = {"status": found.status, "reason": found.reason, "message": found.message}
    if all(old.get(name) == value for name, value in wanted.items()):
        return None
    since = old.get("lastTransitionTime") if old.get("status") == found.status else None
    made = {"type": "Available", "lastTransitionTime": since or rfc3339(now)} | wanted
    status = api_service.get("status") or {}
    others = [c for c in status.get("conditions") or () if c.get("type") != "Available"]
    return api_service | {"status": status | {"conditions": [*others, made]}}
