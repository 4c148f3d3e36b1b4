"""The table of etcd's messages and methods. Upstream: etcd api/etcdserverpb/rpc.proto."""

import functools
from importlib import resources
from typing import Final

from tiphys.lib.grpc.schema import Schema, parse

PACKAGE: Final = "etcdserverpb"


@functools.cache
def schema() -> Schema:
    """The table, parsed on first use."""
    text = resources.files("tiphys.storage.etcd").joinpath("messages.txt").read_text()
    return parse(text, PACKAGE)
