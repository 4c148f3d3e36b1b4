"""gRPC errors as Go prints them: users and tools know this form.

Upstream: google.golang.org/grpc internal/status (Error), codes (String).
"""

from tiphys.cri.errors import CriError


def error_text(error: CriError) -> str:
    """`rpc error: code = NotFound desc = ...`."""
    code = {"OK": "OK", "CANCELLED": "Canceled"}.get(
        error.code, "".join(word.capitalize() for word in error.code.split("_"))
    )
    return f"rpc error: code = {code} desc = {error.message}"
