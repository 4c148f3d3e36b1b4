"""CRI calls fail with a gRPC status: one exception for both ends of the socket."""

from typing import Final

# gRPC status codes by name. Source: https://grpc.github.io/grpc/core/md_doc_statuscodes.html
CODES: Final = (
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
)


class CriError(Exception):
    """A failed call. `code` is one of CODES, `message` says what failed on which object."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


def not_found(what: str, name: str) -> CriError:
    return CriError("NOT_FOUND", f"{what} {name!r} not found")


def invalid(message: str) -> CriError:
    return CriError("INVALID_ARGUMENT", message)


def unimplemented(method: str) -> CriError:
    return CriError("UNIMPLEMENTED", f"method {method} not implemented")
