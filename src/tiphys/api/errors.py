"""Errors as values of the API: one class per reason of metav1.Status.

Upstream: apimachinery pkg/api/errors. Message texts are matched by clients.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from tiphys.api.meta import Obj


class StatusCause(NamedTuple):
    reason: str
    message: str
    field: str = ""

    def to_obj(self) -> Obj:
        obj: Obj = {"reason": self.reason} if self.reason else {}
        if self.message:
            obj["message"] = self.message
        return obj | {"field": self.field} if self.field else obj


class ApiError(Exception):
    """Carries everything a metav1.Status says. Subclasses fix code and reason."""

    code = 500
    reason = "InternalError"

    def __init__(
        self,
        message: str,
        *,
        details: Obj | None = None,
        causes: Sequence[StatusCause] = (),
        retry_after_seconds: int = 0,
        code: int | None = None,
        reason: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.details = dict(details or {})
        # Upstream's generic answers have empty details, others none at all.
        self.has_details = details is not None
        self.causes = list(causes)
        self.retry_after_seconds = retry_after_seconds
        if code is not None:
            self.code = code
        if reason is not None:
            self.reason = reason

    def to_status(self) -> Obj:
        """The metav1.Status body of an answer."""
        details = dict(self.details)
        if self.causes:
            details["causes"] = [c.to_obj() for c in self.causes]
        if self.retry_after_seconds:
            details["retryAfterSeconds"] = self.retry_after_seconds
        status: Obj = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            status["reason"] = self.reason
        if details or self.has_details:
            status["details"] = details
        status["code"] = self.code
        return status


class BadRequest(ApiError):
    code, reason = 400, "BadRequest"


class Unauthorized(ApiError):
    code, reason = 401, "Unauthorized"

    def __init__(self, message: str = "Unauthorized", **more: Any) -> None:
        super().__init__(message, **more)


class Forbidden(ApiError):
    code, reason = 403, "Forbidden"


class NotFound(ApiError):
    code, reason = 404, "NotFound"


class MethodNotAllowed(ApiError):
    code, reason = 405, "MethodNotAllowed"


class NotAcceptable(ApiError):
    code, reason = 406, "NotAcceptable"


class AlreadyExists(ApiError):
    code, reason = 409, "AlreadyExists"


class Conflict(ApiError):
    code, reason = 409, "Conflict"


class Gone(ApiError):
    code, reason = 410, "Gone"


class Expired(ApiError):
    code, reason = 410, "Expired"


class RequestEntityTooLarge(ApiError):
    code, reason = 413, "RequestEntityTooLarge"


class UnsupportedMediaType(ApiError):
    code, reason = 415, "UnsupportedMediaType"


class Invalid(ApiError):
    code, reason = 422, "Invalid"


class TooManyRequests(ApiError):
    code, reason = 429, "TooManyRequests"


class InternalError(ApiError):
    code, reason = 500, "InternalError"


class ServerTimeout(ApiError):
    code, reason = 500, "ServerTimeout"


class ServiceUnavailable(ApiError):
    code, reason = 503, "ServiceUnavailable"


class Timeout(ApiError):
    code, reason = 504, "Timeout"


_BY_REASON = {c.reason: c for c in ApiError.__subclasses__()}


def from_status(status: Obj, code: int) -> ApiError:
    """The error that a server's Status body stands for."""
    cls = _BY_REASON.get(status.get("reason", ""), ApiError)
    found = status.get("details")
    details = dict(found or {})
    causes = [
        StatusCause(c.get("reason", ""), c.get("message", ""), c.get("field", ""))
        for c in details.pop("causes", None) or []
    ]
    retry = details.pop("retryAfterSeconds", 0)
    return cls(
        status.get("message") or f"the server answered {code}",
        details=details if found is not None else None,
        causes=causes,
        retry_after_seconds=retry,
        code=status.get("code") or code,
        reason=status.get("reason", ""),
    )


def not_found(group: str, resource: str, name: str) -> NotFound:
    """`pods "x" not found`, `deployments.apps "x" not found`."""
    qualified = f"{resource}.{group}" if group else resource
    return NotFound(f'{qualified} "{name}" not found', details=_details(group, resource, name))


def already_exists(group: str, resource: str, name: str) -> AlreadyExists:
    qualified = f"{resource}.{group}" if group else resource
    return AlreadyExists(
        f'{qualified} "{name}" already exists', details=_details(group, resource, name)
    )


def conflict(group: str, resource: str, name: str, why: str) -> Conflict:
    """`Operation cannot be fulfilled on pods "x": why`."""
    qualified = f"{resource}.{group}" if group else resource
    return Conflict(
        f'Operation cannot be fulfilled on {qualified} "{name}": {why}',
        details=_details(group, resource, name),
    )


def failed_precondition(key: str, what: str) -> str:
    """As upstream's store says it; key is where that keeps the object."""
    return (
        f"StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0,"
        f" AdditionalErrorMsg: Precondition failed: {what}"
    )


OBJECT_MODIFIED = (
    "the object has been modified; please apply your changes to the latest version and try again"
)


def _details(group: str, resource: str, name: str) -> Obj:
    details: Obj = {"name": name} if name else {}
    if group:
        details["group"] = group
    return details | {"kind": resource}
