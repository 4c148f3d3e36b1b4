"""The table of CRI v1 messages and methods.

Upstream: staging/src/k8s.io/cri-api/pkg/apis/runtime/v1/api.proto (names and numbers).
"""

import functools
from importlib import resources
from typing import Final

from tiphys.lib.grpc.schema import Schema, parse

PACKAGE: Final = "runtime.v1"


@functools.cache
def schema() -> Schema:
    """The table, parsed on first use (about 3 ms)."""
    return parse(resources.files("tiphys.cri").joinpath("messages.txt").read_text(), PACKAGE)
