"""Objects of addons in the API: read, put, take away. All safe to repeat."""

from typing import Final

from tiphys.api.errors import ApiError
from tiphys.api.meta import Obj
from tiphys.cli.kubectl.client import KubeClient

STRATEGIC: Final = "application/strategic-merge-patch+json"


def get(kube: KubeClient, path: str) -> Obj | None:
    """Raises ApiError."""
    try:
        return kube.request("GET", path)
    except ApiError as exc:
        if exc.reason != "NotFound":
            raise
        return None


def put(kube: KubeClient, path: str, obj: Obj) -> None:
    """Create it, or set what is ours in what is there. Raises ApiError."""
    try:
        kube.request("POST", path.rpartition("/")[0], obj)
    except ApiError as exc:
        if exc.reason != "AlreadyExists":
            raise
        kube.request("PATCH", path, obj, content_type=STRATEGIC)


def delete(kube: KubeClient, path: str) -> None:
    """Raises ApiError."""
    try:
        kube.request("DELETE", path)
    except ApiError as exc:
        if exc.reason != "NotFound":
            raise
