"""What a failed call to etcd means: ask again (elsewhere), or tell the caller.

Upstream: etcd api/v3rpc/rpctypes/error.go (texts and codes).
"""

from typing import Final

from grpclib.const import Status
from grpclib.exceptions import GRPCError

from tiphys.storage.backend import StorageError

# Nothing is known of the call then: the member was stopping, had no leader or lost it, or did not
# answer in time. All other codes are answers.
_UNKNOWN_OUTCOME: Final = frozenset(
    {
        Status.UNAVAILABLE,
        Status.DEADLINE_EXCEEDED,
        Status.CANCELLED,
        Status.UNKNOWN,
        Status.INTERNAL,
        Status.ABORTED,
    }
)
COMPACTED: Final = "required revision has been compacted"
FUTURE: Final = "required revision is a future revision"
_NO_LEASE: Final = "requested lease not found"
_NO_SPACE: Final = "database space exceeded"


class EtcdError(StorageError):
    """etcd answered, and the answer is no. `text` is its own."""

    def __init__(self, method: str, text: str) -> None:
        advice = ""
        if _NO_SPACE in text:
            advice = "; compact and defragment etcd, then disarm its alarm (etcdctl alarm disarm)"
        super().__init__(f"etcd refused {method}: {text}{advice}")
        self.text = text

    @property
    def is_compacted(self) -> bool:
        return COMPACTED in self.text

    @property
    def is_future(self) -> bool:
        return FUTURE in self.text

    @property
    def is_without_lease(self) -> bool:
        return _NO_LEASE in self.text


class NoAnswer(StorageError):
    """No member answered. `may_have_happened`: the request went out, so it may be carried out."""

    def __init__(self, text: str, *, may_have_happened: bool) -> None:
        super().__init__(text)
        self.may_have_happened = may_have_happened


def from_status(method: str, error: GRPCError) -> EtcdError | NoAnswer:
    text = error.message or error.status.name
    if error.status in _UNKNOWN_OUTCOME:
        return NoAnswer(f"{method}: {text}", may_have_happened=True)
    return EtcdError(method, text)
