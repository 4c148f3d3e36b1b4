"""How much the store's revisions are ahead of etcd's own.

A new etcd counts from 1. A store that is brought into it from elsewhere has told its clients higher
revisions, and none may come twice: so a key says what to add. It is written when a snapshot is
loaded, while no API server runs, and stays.
"""

from typing import Final

from tiphys.storage.etcd.client import EtcdClient

OFFSET_KEY: Final = b"tiphys_revision_offset"


async def read_offset(client: EtcdClient) -> int:
    """Raises EtcdError, NoAnswer."""
    answer = await client.call("Range", {"key": OFFSET_KEY})
    kvs = answer.get("kvs", [])
    text = kvs[0].get("value", b"") if kvs else b""
    return int(text) if text.isdigit() else 0
