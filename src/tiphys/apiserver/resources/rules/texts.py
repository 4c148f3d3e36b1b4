"""The smallest rules: names, numbers, ports, labels, selectors, immutability.

Upstream: apimachinery pkg/api/validation, pkg/apis/meta/v1/validation, pkg/apis/core/validation.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Any, Final

from tiphys.api import names
from tiphys.api.field_errors import FieldError, forbidden, invalid, required
from tiphys.api.meta import Obj

IMMUTABLE: Final = "field is immutable"
NOT_NEGATIVE: Final = "must be greater than or equal to 0"
PROTOCOLS: Final = ("SCTP", "TCP", "UDP")
_HTTP_PATH: Final = r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+"
_NO_VALUES: Final = frozenset({"Exists", "DoesNotExist"})
_WITH_VALUES: Final = frozenset({"In", "NotIn"})


def each(path: str, value: Any, texts: Iterable[str]) -> list[FieldError]:
    """One invalid value per text."""
    return [invalid(path, value, text) for text in texts]


def repeats(values: Iterable[Hashable]) -> Iterator[int]:
    """The places of values that stood before."""
    seen: set[Hashable] = set()
    for index, value in enumerate(values):
        if value in seen:
            yield index
        seen.add(value)


def not_negative(obj: Obj, field: str, path: str) -> list[FieldError]:
    value = obj.get(field)
    if value is None or value >= 0:
        return []
    return [invalid(f"{path}.{field}", value, NOT_NEGATIVE)]


def one_of(value: str, path: str, valid: Sequence[str], *, needed: bool = True) -> list[FieldError]:
    """Required when empty (unless not needed), unsupported when not one of the valid ones."""
    if not value:
        return [required(path)] if needed else []
    return [] if value in valid else [unsupported(path, value, list(valid))]


def unsupported(path: str, value: Any, valid: Sequence[str]) -> FieldError:
    """Not one of the valid values, which are shown in this order."""
    quoted = ", ".join(f'"{v}"' for v in valid)
    return FieldError("FieldValueNotSupported", path, value, f"supported values: {quoted}")


def named(
    value: str, path: str, check: Callable[[str], list[str]], *, needed: bool = True
) -> list[FieldError]:
    if not value:
        return [required(path)] if needed else []
    return each(path, value, check(value))


def port_number(value: int, path: str) -> list[FieldError]:
    return each(path, value, names.port_number(value))


def port_or_name(value: Any, path: str) -> list[FieldError]:
    if isinstance(value, str):
        return each(path, value, names.port_name(value))
    return port_number(value or 0, path)


def domain_path(value: str, path: str) -> list[FieldError]:
    """A path under a domain. Upstream: util/validation IsDomainPrefixedPath."""
    if not value:
        return [required(path)]
    host, _, rest = value.partition("/")
    if not host or not rest:
        return [invalid(path, value, 'must be a domain-prefixed path (such as "acme.io/foo")')]
    errors = each(path, host, names.dns_subdomain(host))
    if not names.is_http_path(rest):
        errors.append(invalid(path, rest, names.regex_text("Invalid path", _HTTP_PATH)))
    return errors


def label_name(value: str, path: str) -> list[FieldError]:
    return each(path, value, names.qualified_name(value))


def labels(values: dict[str, str] | None, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for key, value in sorted((values or {}).items()):
        errors += label_name(key, path)
        errors += each(path, value, names.label_value(value))
    return errors


def label_selector(selector: Obj | None, path: str) -> list[FieldError]:
    if selector is None:
        return []
    errors = labels(selector.get("matchLabels"), f"{path}.matchLabels")
    for index, expression in enumerate(selector.get("matchExpressions") or ()):
        errors += _requirement(expression, f"{path}.matchExpressions[{index}]")
    return errors


def _requirement(expression: Obj, path: str) -> list[FieldError]:
    operator, values = expression.get("operator", ""), expression.get("values") or []
    errors: list[FieldError] = []
    if operator in _WITH_VALUES:
        if not values:
            text = "must be specified when `operator` is 'In' or 'NotIn'"
            errors.append(required(f"{path}.values", text))
    elif operator in _NO_VALUES:
        if values:
            text = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            errors.append(forbidden(f"{path}.values", text))
    else:
        errors.append(invalid(f"{path}.operator", operator, "not a valid selector operator"))
    errors += label_name(expression.get("key", ""), f"{path}.key")
    for index, value in enumerate(values):
        errors += each(f"{path}.values[{index}]", value, names.label_value(value))
    return errors


def immutable(new: Any, old: Any, path: str) -> list[FieldError]:
    return [] if new == old else [invalid(path, new, IMMUTABLE)]


def is_empty_selector(selector: Obj | None) -> bool:
    return not (selector or {}).get("matchLabels") and not (selector or {}).get("matchExpressions")


_STANDARD_FINALIZERS: Final = frozenset({"kubernetes", "orphan", "foregroundDeletion"})


def kube_finalizer(name: str, path: str) -> list[FieldError]:
    """Core kinds take only standard finalizers and qualified ones."""
    errors = each(path, name, names.qualified_name(name))
    if "/" not in name and name not in _STANDARD_FINALIZERS:
        text = "name is neither a standard finalizer name nor is it fully qualified"
        errors.append(invalid(path, name, text))
    return errors


def kube_finalizers(obj: Obj) -> list[FieldError]:
    """Of an object's metadata, beside the rules that all kinds have."""
    return [
        error
        for index, name in enumerate(obj["metadata"].get("finalizers") or ())
        for error in kube_finalizer(name, f"metadata.finalizers[{index}]")
    ]
