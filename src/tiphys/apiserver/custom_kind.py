"""What the generic verbs ask of a kind that a CustomResourceDefinition defines.

Upstream: apiextensions-apiserver pkg/apiserver/customresource_handler.go.
"""

from typing import Protocol

from tiphys.api.field_errors import FieldError
from tiphys.api.meta import Obj
from tiphys.codec.fields.shape import Shape


class CustomKind(Protocol):
    """One served version. Nothing here does I/O."""

    list_kind: str
    deprecation: str  # The warning of each answer, or empty.
    shape: Shape
    has_status: bool
    is_terminating: bool  # Nothing new may be made.

    def decoded(self, loose: Obj) -> tuple[Obj, list[str]]:
        """A fresh object with defaults and without unknown fields, and the paths of these.

        Raises DecodeError.
        """
        ...

    def scale_of(self, obj: Obj, *, needs_replicas: bool = True) -> Obj:
        """Raises InternalError where the object has no replicas."""
        ...

    def with_replicas(self, obj: Obj, replicas: int) -> Obj: ...

    def replicas_errors(self, replicas: int) -> list[FieldError]: ...
