"""Calls into Libcloud: they block, so each has a thread; its errors become ours at this edge."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from libcloud.common.exceptions import BaseHTTPError
from libcloud.common.types import LibcloudError
from requests.exceptions import RequestException

from tiphys.cloud.provider import ProviderError

T = TypeVar("T")


async def call(function: Callable[[], T]) -> T:
    """Raises ProviderError. A cancelled call goes on in its thread: its result is dropped."""
    try:
        return await asyncio.to_thread(function)
    except NotImplementedError as exc:
        raise ProviderError(f"the driver cannot do it: {exc}") from exc
    except (LibcloudError, BaseHTTPError, RequestException, OSError, KeyError, ValueError) as exc:
        raise ProviderError(f"{type(exc).__name__}: {exc}") from exc
