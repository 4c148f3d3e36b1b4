"""ListOptions from a query, with upstream's rules and texts.

Upstream: apimachinery pkg/apis/meta/internalversion/validation/validation.go, pkg/runtime/
converter.go (how query values become booleans and numbers).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import orjson

from tiphys.api.errors import BadRequest, InternalError
from tiphys.api.field_errors import FieldError, forbidden, invalid, invalid_object
from tiphys.lib.http.message import Request

_DURATION: Final = re.compile(r"[-+]?(0|((\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h))+)")
REVISION_MAX: Final = 2**64 - 1
_MATCH: Final = "resourceVersionMatch"


@dataclass(frozen=True, slots=True)
class ListOptions:
    """What list, watch and deletecollection understand of a query. `None`: not given."""

    label_selector: str = ""
    field_selector: str = ""
    watch: bool = False
    allow_bookmarks: bool = False
    resource_version: str = ""
    resource_version_match: str = ""
    timeout_seconds: int | None = None
    limit: int = 0
    continue_: str = ""
    send_initial_events: bool | None = None


def query_of(request: Request) -> dict[str, list[str]]:
    """The parameters of a query. Raises BadRequest."""
    try:
        return request.params()
    except ValueError as error:
        raise BadRequest(f"invalid query: {error}") from None


def query_bool(params: dict[str, list[str]], name: str) -> bool | None:
    """Go's reading: absent None; `false` and `0` are false, anything else is true."""
    values = params.get(name)
    if values is None:
        return None
    return values[0].lower() not in {"false", "0"} if values[0] else True


def query_int(params: Mapping[str, Sequence[str | None]], name: str) -> int | None:
    """Raises BadRequest."""
    text = params.get(name, [None])[0]
    if text is None:
        return None
    try:
        found = int(text)
    except ValueError:
        raise BadRequest(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None
    if not -(2**63) <= found < 2**63:
        raise BadRequest(f'strconv.ParseInt: parsing "{text}": value out of range')
    return found


def check_timeout(params: Mapping[str, Sequence[str]]) -> None:
    """`?timeout=` is a Go duration. Raises BadRequest; upstream filters/request_deadline.go."""
    text = params.get("timeout", [""])[0]
    if text and not _DURATION.fullmatch(text):
        raise BadRequest(
            "invalid timeout specified in the request URL - time: invalid duration"
            f" {orjson.dumps(text).decode()}"
        )


def parse_list_options(params: dict[str, list[str]], *, watch: bool) -> ListOptions:
    """Raises Invalid, BadRequest."""

    def text(name: str) -> str:
        return params.get(name, [""])[0]

    options = ListOptions(
        label_selector=text("labelSelector"),
        field_selector=text("fieldSelector"),
        watch=watch,
        allow_bookmarks=bool(query_bool(params, "allowWatchBookmarks")),
        resource_version=text("resourceVersion"),
        resource_version_match=text(_MATCH),
        timeout_seconds=query_int(params, "timeoutSeconds"),
        limit=query_int(params, "limit") or 0,
        continue_=text("continue"),
        send_initial_events=query_bool(params, "sendInitialEvents"),
    )
    errors = validate_watch(options) if watch else validate_list(options)
    if errors:
        raise invalid_object("meta.k8s.io", "ListOptions", "", errors)
    return with_initial_events(options) if watch else options


def with_initial_events(options: ListOptions) -> ListOptions:
    """A watch from nowhere (no revision, or 0) is one that sends what is there, and says its end.

    Upstream: apimachinery pkg/apis/meta/internalversion/defaults.go.
    """
    if options.send_initial_events is not None or options.resource_version not in {"", "0"}:
        return options
    return replace(options, send_initial_events=True, resource_version_match="NotOlderThan")


def _unsupported(value: str, *supported: str) -> FieldError:
    # Upstream lists these in the order it knows them, not sorted.
    quoted = ", ".join(f'"{s}"' for s in supported)
    return FieldError("FieldValueNotSupported", _MATCH, value, f"supported values: {quoted}")


def validate_list(options: ListOptions) -> list[FieldError]:
    errors: list[FieldError] = []
    match = options.resource_version_match
    if match:
        if not options.resource_version:
            errors.append(
                forbidden(_MATCH, f"{_MATCH} is forbidden unless resourceVersion is provided")
            )
        if options.continue_:
            errors.append(forbidden(_MATCH, f"{_MATCH} is forbidden when continue is provided"))
        if match not in {"Exact", "NotOlderThan"}:
            errors.append(_unsupported(match, "Exact", "NotOlderThan", ""))
        if match == "Exact" and options.resource_version == "0":
            errors.append(
                forbidden(_MATCH, f'{_MATCH} "exact" is forbidden for resourceVersion "0"')
            )
    if options.send_initial_events is not None:
        errors.append(forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    return errors


def validate_watch(options: ListOptions) -> list[FieldError]:
    errors: list[FieldError] = []
    match = options.resource_version_match
    if options.send_initial_events is not None:
        if match != "NotOlderThan":
            errors.append(
                forbidden(
                    _MATCH,
                    f"sendInitialEvents requires setting {_MATCH} to NotOlderThan",
                )
            )
    elif match:
        errors.append(
            forbidden(
                _MATCH, f"{_MATCH} is forbidden for watch unless sendInitialEvents is provided"
            )
        )
    if match not in {"", "NotOlderThan"}:
        errors.append(_unsupported(match, "NotOlderThan"))
    if options.continue_:
        errors.append(forbidden(_MATCH, f"{_MATCH} is forbidden when continue is provided"))
    return errors


def parse_revision(text: str) -> int:
    """A resourceVersion; "" and "0" are 0. Raises ValueError with Go's words."""
    if not text:
        return 0
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f'parsing "{text}": invalid syntax')
    if int(text) > REVISION_MAX:
        raise ValueError(f'parsing "{text}": value out of range')
    return int(text)


def _revision_error(text: str, error: ValueError) -> str:
    return str(invalid("resourceVersion", text, f"strconv.ParseUint: {error}"))


def list_revision(text: str) -> int:
    """Raises BadRequest."""
    try:
        return parse_revision(text)
    except ValueError as error:
        raise BadRequest(f"invalid resource version: {_revision_error(text, error)}") from None


def get_revision(text: str) -> int:
    """Of get and watch. Raises InternalError: upstream takes the client's fault for its own."""
    try:
        return parse_revision(text)
    except ValueError as error:
        raise InternalError(_revision_error(text, error), code=500, reason="") from None
