"""Fetches the keys of an OpenID Connect issuer, and again when a token names one that is unknown.

Sources: OpenID Connect Discovery 1.0, RFC 7517. Upstream: go-oidc's remote key set.
"""

import asyncio
import logging
import ssl
from contextlib import suppress
from typing import Any, Final
from urllib.parse import urlsplit

import jwt
import orjson

from tiphys.apiserver.filters.oidc import Issuer, Keys
from tiphys.lib.clock import Clock
from tiphys.lib.http.client import HttpClient, HttpError
from tiphys.lib.tls_trust import trusting

log = logging.getLogger(__name__)

FETCH_SECONDS_MAX: Final = 30.0  # Upstream's timeout of the client.
RETRY_SECONDS: Final = 10.0  # Upstream: the interval of the first discovery.
_WELL_KNOWN: Final = "/.well-known/openid-configuration"
REFRESH_SECONDS: Final = 3600.0  # Keys that the issuer took back are forgotten then.


class OidcKeys:
    """Keeps `keys` filled."""

    def __init__(self, issuer: Issuer, keys: Keys, clock: Clock) -> None:
        self._issuer = issuer
        self._keys = keys
        self._clock = clock

    async def run(self) -> None:
        while True:
            try:
                self._keys.replace(await self.fetch())
            except (HttpError, TimeoutError, OSError, ValueError) as error:
                why = {"issuer": self._issuer.url, "why": str(error)}
                log.warning("no keys of the OpenID Connect issuer", extra=why)
                await self._clock.sleep(RETRY_SECONDS)
                continue
            await self._clock.sleep(RETRY_SECONDS)
            with suppress(TimeoutError):
                async with asyncio.timeout(REFRESH_SECONDS):
                    await self._keys.wanted.wait()

    async def fetch(self) -> dict[str, Any]:
        """Raises HttpError, TimeoutError, OSError, ValueError."""
        issuer = self._issuer.url
        where = self._issuer.discovery_url or issuer.rstrip("/") + _WELL_KNOWN
        document = await self._get(where)
        if document.get("issuer") != issuer:
            raise ValueError(f"{where} is of the issuer {document.get('issuer')!r}")
        found = await self._get(str(document.get("jwks_uri", "")))
        keys: dict[str, Any] = {}
        for entry in found.get("keys") or ():
            try:
                jwt.PyJWK(entry)
            except (jwt.PyJWTError, TypeError, AttributeError):
                continue  # Of a kind that is not known here; others may do.
            if entry.get("use", "sig") == "sig":
                keys[str(entry.get("kid", ""))] = entry
        return keys

    async def _get(self, url: str) -> dict[str, Any]:
        parts = urlsplit(url)
        if parts.scheme != "https":
            raise ValueError(f"{url!r} is no https URL")
        client = HttpClient(f"{parts.scheme}://{parts.netloc}", tls=self._tls())
        try:
            target = parts.path + (f"?{parts.query}" if parts.query else "")
            answer = await client.request("GET", target, timeout_seconds=FETCH_SECONDS_MAX)
        finally:
            client.close()
        if answer.status != 200:
            raise ValueError(f"{url} answered {answer.status}")
        document = orjson.loads(answer.body)
        if not isinstance(document, dict):
            raise ValueError(f"{url} is no JSON object")
        return document

    def _tls(self) -> ssl.SSLContext:
        authority = self._issuer.authority
        return trusting(authority.encode()) if authority else ssl.create_default_context()
