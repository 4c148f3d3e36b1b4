"""What the generic verbs ask of a kind. One instance per kind, in resources/<group>/<kind>.py.

Functions that get a fresh object (`default`, `before_*`) change it in place: the request owns it.
Functions that get an old object never change that. Nothing here does I/O.
Upstream: pkg/registry/<group>/<kind>/strategy.go, pkg/apis/<group>/<version>/defaults.go.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tiphys.api.field_errors import FieldError
from tiphys.api.meta import Obj
from tiphys.api.resources import ResourceInfo
from tiphys.apiserver.user import User


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the Table; `cell(obj, now)` gives a JSON value (str, int, bool or None)."""

    name: str
    cell: Callable[[Obj, datetime], Any]
    type: str = "string"
    format: str = ""
    description: str = ""
    priority: int = 0  # 1 = only with -o wide.


def nothing(obj: Obj) -> None:
    """A kind without defaults or preparation."""


def nothing_on_update(new: Obj, old: Obj) -> None:
    """A kind whose updates need no preparation."""


def nothing_of_request(new: Obj, old: Obj | None, user: User, now: datetime) -> None:
    """A kind that keeps nothing of who asks and when."""


def nothing_before_delete(obj: Obj, now: datetime) -> Obj | None:
    """A kind that is deleted as any other."""
    return None


def no_errors(obj: Obj) -> list[FieldError]:
    return []


def no_update_errors(new: Obj, old: Obj) -> list[FieldError]:
    return []


def no_conditions(obj: Obj) -> list[Obj]:
    """What a Table says of a row beside its cells."""
    return []


def no_warnings(new: Obj, old: Obj | None) -> list[str]:
    return []


def no_status_warnings(new: Obj) -> list[str]:
    return []


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind's own rules. The generic part (metadata, uid, times, names) is not repeated here."""

    info: ResourceInfo
    default: Callable[[Obj], None] = nothing
    before_create: Callable[[Obj], None] = nothing
    before_update: Callable[[Obj, Obj], None] = nothing_on_update  # (new, old)
    before_status_update: Callable[[Obj, Obj], None] = nothing_on_update
    # (new, old, who asks, when): what the kind notes of a request, after the preparation.
    note_request: Callable[[Obj, Obj | None, User, datetime], None] = nothing_of_request
    # (obj, when): the object to write at first instead of deleting it; None leaves it to the rules.
    before_delete: Callable[[Obj, datetime], Obj | None] = nothing_before_delete
    # Rules whose errors are told alone: what the server gives the object depends on them.
    validate_first: Callable[[Obj], list[FieldError]] = no_errors
    validate: Callable[[Obj], list[FieldError]] = no_errors
    validate_again: Callable[[Obj], list[FieldError]] | None = None  # Instead of it, for updates.
    validate_create: Callable[[Obj], list[FieldError]] = no_errors  # More, of new objects only.
    # More, of new objects, given the labels of their namespace.
    validate_create_in: Callable[[Obj, dict[str, str]], list[FieldError]] | None = None
    validate_update: Callable[[Obj, Obj], list[FieldError]] = no_update_errors
    validate_status_update: Callable[[Obj, Obj], list[FieldError]] = no_update_errors
    warnings: Callable[[Obj, Obj | None], list[str]] = no_warnings
    status_warnings: Callable[[Obj], list[str]] = no_status_warnings  # Of an update of the status.
    columns: tuple[Column, ...] = ()
    table_order: Callable[[Obj], Any] | None = None  # Rows of a list; None: as it is.
    row_conditions: Callable[[Obj], list[Obj]] = no_conditions
    selectable_fields: Mapping[str, Callable[[Obj], str]] = field(default_factory=dict)
    validate_name: Callable[[str, bool], list[str]] | None = None  # (name, is_prefix) -> texts
    # The order of rules of an update: its metadata, the object as a whole, what changed.
    update_order: tuple[str, ...] = ("meta", "whole", "change")
    checks_generated_prefix: bool = True  # generateName has rules as names have.
    error_group: str | None = None  # The group that 422s name, where not the own one.
    has_status_table: bool = True  # Whether the subresource status can be shown as a Table.
    orphans_by_default: bool = False  # A delete that does not say keeps what the object owns.
    delete_warning: str = ""  # For a delete that does not say what becomes of it.
    allow_create_on_update: bool = False
    allow_unconditional_update: bool = True

    def validate_whole(self, new: Obj) -> list[FieldError]:
        """Of an update."""
        return (self.validate_again or self.validate)(new)
