"""httpGet probes. Upstream: pkg/probe/http (http.go, request.go)."""

import ssl
from typing import Final
from urllib.parse import urljoin, urlsplit

from tiphys.api.meta import Obj
from tiphys.kubelet.probes.probe import Outcome, Target, join_host_port, port_number
from tiphys.lib.http.client import Answer, HttpClient, HttpError

USER_AGENT: Final = "kube-probe/1.36"
REDIRECTS_MAX: Final = 10  # net/http


def url_of(action: Obj, target: Target) -> str:
    """Raises PortError."""
    scheme = str(action.get("scheme") or "HTTP").lower()
    host = action.get("host") or target.pod_ip
    port = port_number(action["port"], target.container)
    path = str(action.get("path") or "/")
    return f"{scheme}://{join_host_port(host, port)}{path if path.startswith('/') else '/' + path}"


def headers_of(action: Obj) -> dict[str, str]:
    found = {"User-Agent": USER_AGENT, "Accept": "*/*", "Connection": "close"}
    for header in action.get("httpHeaders") or []:
        name = header["name"]
        found = {k: v for k, v in found.items() if k.lower() != name.lower()}
        found[name] = header.get("value") or ""
    return found


async def run(action: Obj, target: Target, timeout_seconds: int) -> Outcome:
    url, headers = url_of(action, target), headers_of(action)
    host = urlsplit(url).hostname
    for _ in range(REDIRECTS_MAX):
        try:
            answer = await get(url, headers, timeout_seconds)
        except TimeoutError:
            why = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
            return Outcome("failure", f'Get "{url}": {why}')
        except HttpError as exc:
            return Outcome("failure", f'Get "{url}": {_reason(exc, url)}')
        location = answer.headers.get("location", "")
        if not 300 <= answer.status < 400 or not location:
            break
        url = urljoin(url, location)
        if urlsplit(url).hostname != host:
            break  # Another host is not probed: that the pod answered is enough.
    if 200 <= answer.status < 400:
        return Outcome("success", answer.body[:1024].decode(errors="replace"))
    return Outcome("failure", f"HTTP probe failed with statuscode: {answer.status}")


async def get(url: str, headers: dict[str, str], timeout_seconds: float) -> Answer:
    """One request on a connection of its own; certificates are not verified.

    Raises HttpError, TimeoutError.
    """
    parts = urlsplit(url)
    tls = None
    if parts.scheme == "https":
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
    client = HttpClient(f"{parts.scheme}://{parts.netloc}", tls=tls)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    # A Host of the probe's own replaces the address, it does not stand beside it.
    own = next((k for k in headers if k.lower() == "host"), None)
    if own is not None:
        client.set_host(headers[own])
        headers = {k: v for k, v in headers.items() if k != own}
    try:
        return await client.request("GET", path, headers=headers, timeout_seconds=timeout_seconds)
    finally:
        client.close()


def _reason(error: HttpError, url: str) -> str:
    cause = error.__cause__
    parts = urlsplit(url)
    where = f"dial tcp {parts.netloc}"
    if isinstance(cause, ConnectionRefusedError):
        return f"{where}: connect: connection refused"
    if isinstance(cause, TimeoutError):
        return f"{where}: i/o timeout"
    if isinstance(cause, OSError):
        return f"{where}: connect: {(cause.strerror or str(cause)).lower()}"
    return "EOF" if "closed" in str(error) else str(error)
