"""Client of the OCI distribution protocol: names to documents and blobs, through mirrors.

Every registry may have mirrors, tried in order before the registry itself. A mirror is asked with
`?ns=REGISTRY`, as containerd does, so one mirror can serve several registries.

Source: OCI distribution-spec; docker token authentication (distribution docs/spec/auth/token).
"""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO, Any, Final
from urllib.parse import urlencode

from tiphys.lib.logs import Secret
from tiphys.runtime.images import manifest
from tiphys.runtime.images.http_client import (
    AUTHORITIES,
    HttpError,
    Request,
    Response,
    Upload,
    authority_file,
    basic,
    challenge_fields,
    request,
)
from tiphys.runtime.images.reference import Reference

log = logging.getLogger(__name__)

ACCEPT: Final = ", ".join((*manifest.INDEX_TYPES, *manifest.MANIFEST_TYPES))
TOKEN_BYTES_MAX: Final = 1 << 20
BLOB_BYTES_MAX: Final = 64 << 30
DOCKER_HUB: Final = "https://registry-1.docker.io"


class PullError(Exception):
    """A pull failed; `missing` when every registry said that it does not have the image."""

    def __init__(self, message: str, *, missing: bool = False) -> None:
        super().__init__(message)
        self.missing = missing


@dataclass(frozen=True)
class Credentials:
    username: str = ""
    password: Secret = field(default=Secret(""))
    token: Secret = field(default=Secret(""))


@dataclass(frozen=True)
class Endpoint:
    """A base URL and the `ns` that a mirror is told ("" for the registry itself)."""

    base: str
    namespace: str = ""
    authorities: str = AUTHORITIES


def endpoints(
    host: str, mirrors: Mapping[str, Sequence[str]], authorities: str = AUTHORITIES
) -> list[Endpoint]:
    """Where to ask for images of host, in order; mirrors of "*" serve every registry."""
    found = [
        Endpoint(base.rstrip("/"), host) for base in (*mirrors.get(host, ()), *mirrors.get("*", ()))
    ]
    if host == "docker.io":
        own = DOCKER_HUB
    elif is_local(host) and not authority_file(authorities, host):
        own = f"http://{host}"  # As Docker does: a registry on this machine needs no TLS.
    else:
        own = f"https://{host}"
    return [*found, Endpoint(own, authorities=authorities)]


def is_local(host: str) -> bool:
    return host.partition(":")[0] in ("localhost", "127.0.0.1")


class Registry:
    """One repository at one endpoint; tokens are kept between requests."""

    _actions = "pull"

    def __init__(self, endpoint: Endpoint, path: str, credentials: Credentials) -> None:
        self._endpoint = endpoint
        self._path = path
        # A password for the registry is not shown to its mirrors.
        self._credentials = Credentials() if endpoint.namespace else credentials
        self._authorization = ""
        if self._credentials.token:
            self._authorization = f"Bearer {str.__str__(self._credentials.token)}"

    def url(self, what: str, name: str) -> str:
        query = (
            "?" + urlencode({"ns": self._endpoint.namespace}) if self._endpoint.namespace else ""
        )
        return f"{self._endpoint.base}/v2/{self._path}/{what}/{name}{query}"

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], upload: Upload | None = None
    ) -> Response:
        """One request, repeated with a login when the registry asks for one.

        Raises: HttpError.
        """
        start = upload.file.tell() if upload else 0
        for attempt in range(2):
            fields = {"user-agent": "tiphys", **headers}
            if self._authorization:
                fields["authorization"] = self._authorization
            response = await request(
                Request(method, url, fields, upload, self._endpoint.authorities)
            )
            if response.status != 401 or attempt:
                return response
            response.close()
            if upload:
                upload.file.seek(start)
            await self._authenticate(response.headers.get("www-authenticate", ""))
        raise AssertionError("unreachable")

    async def _get(self, url: str) -> Response:
        return await self.send("GET", url, {"accept": f"{ACCEPT}, */*"})

    async def _authenticate(self, challenge: str) -> None:
        scheme, fields = challenge_fields(challenge)
        login = self._credentials
        if scheme == "basic" and login.username:
            self._authorization = basic(login.username, login.password)
            return
        if scheme != "bearer" or "realm" not in fields:
            return
        if not fields["realm"].startswith("https://") and self._endpoint.base.startswith("https:"):
            raise HttpError(f"token server {fields['realm']} is not https")
        scope = fields.get("scope") or f"repository:{self._path}:{self._actions}"
        query = {"service": fields.get("service", ""), "scope": scope}
        headers = {"user-agent": "tiphys"}
        if login.username:
            headers["authorization"] = basic(login.username, login.password)
        url = f"{fields['realm']}?{urlencode(query)}"
        response = await request(
            Request("GET", url, headers, authorities=self._endpoint.authorities)
        )
        if response.status != 200:
            response.close()
            return  # The registry's own answer then says what is wrong.
        answer = manifest.decode(await response.read(TOKEN_BYTES_MAX))
        self._authorization = f"Bearer {answer.get('token') or answer.get('access_token', '')}"

    async def document(self, name: str) -> bytes:
        """A manifest or index by tag or digest. Raises: PullError, HttpError."""
        response = await self._get(self.url("manifests", name))
        await self._check(response, name)
        data = await response.read(manifest.DOCUMENT_BYTES_MAX)
        if name.startswith("sha256:") and manifest.digest_of(data) != name:
            raise PullError(f"{name}: the registry sent something else")
        return data

    async def blob(self, digest: str, target: IO[bytes]) -> None:
        """Write a blob to target and prove its digest. Raises: PullError, HttpError, OSError."""
        response = await self._get(self.url("blobs", digest))
        await self._check(response, digest)
        proof = hashlib.sha256()
        size = 0
        async for piece in response.body():
            proof.update(piece)
            size += len(piece)
            if size > BLOB_BYTES_MAX:
                response.close()
                raise PullError(f"{digest}: blob is larger than {BLOB_BYTES_MAX} bytes")
            target.write(piece)
        if f"sha256:{proof.hexdigest()}" != digest:
            raise PullError(f"{digest}: the registry sent something else")

    async def _check(self, response: Response, name: str) -> None:
        if response.status == 200:
            return
        response.close()
        if response.status == 404:
            raise PullError(f"{name}: not found", missing=True)
        if response.status in (401, 403):
            raise PullError(
                "pull access denied, repository does not exist or may require authorization: "
                "server message: insufficient_scope: authorization failed",
                missing=True,
            )
        raise PullError(f"unexpected status from GET request to {response.url}: {response.status}")


@dataclass(frozen=True)
class Resolved:
    """An image at a registry: the digest that its name has, its manifest and config."""

    registry: Registry
    digest: str
    manifest: dict[str, Any]
    config: bytes
    document: bytes  # The manifest as it came.


async def resolve(
    reference: Reference,
    mirrors: Mapping[str, Sequence[str]],
    credentials: Credentials,
    machine: str,
    authorities: str = AUTHORITIES,
) -> Resolved:
    """Ask the endpoints in order; the first that has the image serves all of it.

    Raises: PullError with containerd's words.
    """
    failures: list[PullError] = []
    for endpoint in endpoints(reference.host, mirrors, authorities):
        registry = Registry(endpoint, reference.path, credentials)
        try:
            return await _resolve_at(registry, reference, machine)
        except PullError as exc:
            failures.append(exc)
        except (HttpError, ValueError, KeyError) as exc:
            failures.append(PullError(f"failed to do request: {exc}"))
        log.debug("endpoint failed", extra={"endpoint": endpoint.base, "why": str(failures[-1])})
    missing = all(failure.missing for failure in failures)
    why = f"{reference}: not found" if missing else str(failures[-1])
    if missing and "denied" in str(failures[-1]):
        why = str(failures[-1])
    raise PullError(f'failed to resolve reference "{reference}": {why}', missing=missing)


async def _resolve_at(registry: Registry, reference: Reference, machine: str) -> Resolved:
    data = await registry.document(reference.wanted)
    digest = manifest.digest_of(data)
    document = manifest.decode(data)
    if manifest.is_index(document):
        data = await registry.document(manifest.choose(document, machine))
        document = manifest.decode(data)
    if "config" not in document or "layers" not in document:
        raise PullError(f"{reference}: unsupported manifest {document.get('mediaType')}")
    config = _Memory(manifest.DOCUMENT_BYTES_MAX)
    await registry.blob(document["config"]["digest"], config)  # type: ignore[arg-type]
    return Resolved(registry, digest, document, bytes(config.data), data)


class _Memory:
    """A bounded file in memory."""

    def __init__(self, bytes_max: int) -> None:
        self.data = bytearray()
        self._bytes_max = bytes_max

    def write(self, piece: bytes) -> int:
        if len(self.data) + len(piece) > self._bytes_max:
            raise PullError("image config is too large")
        self.data += piece
        return len(piece)
