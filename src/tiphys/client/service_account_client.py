"""A client that acts as a ServiceAccount of kube-system: each controller has only its own rights.

The account and its token are made when they are first needed and renewed before they run out.
Upstream: kube-controller-manager --use-service-account-credentials.
"""

import asyncio
import functools
import ssl
from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from tiphys.api.errors import AlreadyExists
from tiphys.api.meta import GroupVersionResource
from tiphys.client.kubeconfig import Access
from tiphys.client.rest import Client
from tiphys.lib.clock import Clock
from tiphys.lib.logs import Secret

if TYPE_CHECKING:
    from tiphys.lib.http.http2_client import Sessions

NAMESPACE: Final = "kube-system"
TOKEN_SECONDS: Final = 7200  # tokenExpirationSeconds, client_builder_dynamic.go.
RENEW_AFTER: Final = 0.8  # Of its life.
_ACCOUNTS: Final = GroupVersionResource("", "v1", "serviceaccounts")


def without_credentials(access: Access) -> Access:
    """The same server; tokens come with each request."""
    nobody = replace(access, client_certificate=b"", client_key=b"", certificate_files=None)
    return replace(nobody, token=Secret("none"))


@functools.cache
def _context_of(access: Access) -> ssl.SSLContext | None:
    """One for all accounts: they differ by their tokens only."""
    return access.tls() if access.server.startswith("https") else None


def _sessions_of(base: Client, access: Access) -> "Sessions | None":
    """One connection for all accounts of a process; it ends with the base."""
    tls = None if base.transport is not None else _context_of(access)
    return None if tls is None else base.sessions_as(access, tls)


class ServiceAccountClient(Client):
    """Requests of one account; `base` may make accounts and tokens."""

    def __init__(self, base: Client, account: str, clock: Clock) -> None:
        anonymous = without_credentials(base.access)
        super().__init__(
            anonymous,
            user_agent=f"kube-controller-manager/{account}",
            shared_tls=_context_of(anonymous) if base.transport is None else None,
            transport=base.transport,
            sessions=_sessions_of(base, anonymous),
        )
        self._base = base
        self._account = account
        self._clock = clock
        self._renew_at = 0.0
        self._lock = asyncio.Lock()

    def _refused(self, status: int) -> None:
        if status == HTTPStatus.UNAUTHORIZED:
            self._renew_at = 0.0  # The account was made anew, or the key changed.

    async def _authorize(self) -> None:
        """A token that is still good, in the headers of every request."""
        if self._clock.monotonic() < self._renew_at:
            return
        async with self._lock:
            if self._clock.monotonic() < self._renew_at:
                return
            token = await self._token()
            self.http.headers["Authorization"] = f"Bearer {token}"
            self._renew_at = self._clock.monotonic() + TOKEN_SECONDS * RENEW_AFTER

    async def _token(self) -> str:
        account = {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": self._account, "namespace": NAMESPACE},
        }
        with suppress(AlreadyExists):
            await self._base.create(_ACCOUNTS, account)
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": TOKEN_SECONDS},
        }
        answer = await self._base.create(
            _ACCOUNTS, request, NAMESPACE, name=self._account, subresource="token"
        )
        return str(answer["status"]["token"])
