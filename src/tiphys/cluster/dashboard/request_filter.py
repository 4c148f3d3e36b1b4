"""Which requests the local proxy passes on: those of the dashboard's own pages, from this machine.

As `kubectl proxy` does, Host must be this machine's name (no DNS rebinding) and exec and attach are
not for everybody. Stricter than it: what a browser sends on behalf of another site is refused, and
so are pages of other workloads, which would run with the administrator's rights.
Upstream: kubectl pkg/proxy/proxy_server.go; Fetch Metadata (W3C).
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote

from tiphys.cluster.dashboard.manifests import NAME, NAMESPACE

HOSTS: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})
_INTERACTIVE: Final = frozenset({"exec", "attach", "portforward"})
_OWN_PAGES: Final = (NAMESPACE, "services", f"http:{NAME}:", "proxy")
_OWN_SITES: Final = frozenset({"same-origin", "none"})


def refusal(method: str, raw_path: str, headers: Mapping[str, str]) -> str:
    """Why a request is refused; empty: it is passed on. Header names are lower case."""
    host = headers.get("host", "")
    if _without_port(host) not in HOSTS:
        return f'Host "{host}" is not this machine'
    origin = headers.get("origin")
    if origin is not None and origin != f"http://{host}":
        return f'Origin "{origin}" is another site'
    site = headers.get("sec-fetch-site", "none")
    navigates = method == "GET" and headers.get("sec-fetch-mode") == "navigate"
    if site not in _OWN_SITES and not navigates:
        return f"a request of another site ({site})"
    why = path_refusal(raw_path)
    if not why and origin is None and _INTERACTIVE & set(_segments(raw_path)[6:7]):
        why = "a shell is for the dashboard's page only"
    return why


def path_refusal(raw_path: str) -> str:
    """Why nobody may ask for a path; empty: it is fine."""
    segments = _segments(raw_path)
    if any("/" in part or part in {".", ".."} for part in segments):
        return "a path that means another"
    if segments[:1] == ["api"] and _is_proxy(segments) and tuple(segments[3:7]) != _OWN_PAGES:
        return "pages of other workloads would act with the administrator's rights"
    return ""


def _segments(raw_path: str) -> list[str]:
    return [unquote(part) for part in raw_path.strip("/").split("/")]


def _is_proxy(segments: list[str]) -> bool:
    """`/api/v1/namespaces/NS/pods/NAME/proxy...` or `/api/v1/nodes/NAME/proxy...`."""
    of_node = segments[2:3] == ["nodes"] and segments[4:5] == ["proxy"]
    return of_node or segments[6:7] == ["proxy"]


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]
