"""Values against an OpenAPI v3 schema, with upstream's words for what is wrong.

On an update what is as it was before is not looked at again (KEP-4008), so that a stricter schema
does not stop changes of other fields.
Upstream: kube-openapi pkg/validation/validate, apiextensions-apiserver pkg/apiserver/validation.
"""

import math
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from tiphys.api.field_errors import FieldError, invalid, required, too_long, too_many
from tiphys.api.meta import Obj
from tiphys.apiserver.custom_resources import formats
from tiphys.apiserver.custom_resources.patterns import BadPattern, compiled

_NO_PATH: Final = "<nil>"  # Go's word for errors that name no field.
_INT32: Final = (-(2**31), 2**31 - 1)
_INT64: Final = (-(2**63), 2**63 - 1)
_NOTHING: Final = object()


@dataclass(slots=True)
class _Finding:
    """Errors, and how much was looked at: of several alternatives the closest one is told of."""

    errors: list[FieldError] = field(default_factory=list)
    matches: int = 0

    def merge(self, other: "_Finding") -> None:
        self.errors += other.errors
        self.matches += other.matches


def validate(value: Any, schema: Obj, *, under: str = "", old: Any = _NOTHING) -> list[FieldError]:
    """All errors. `under`: what the paths of the errors begin with, which their texts do not."""
    found = _Checker(under).check(value, schema, "", old)
    return found.errors


class _Checker:
    def __init__(self, under: str) -> None:
        self._under = under

    # --- what errors look like

    def _where(self, path: str) -> str:
        """The field of an error; its text says only `path`."""
        return ".".join(part for part in (self._under, path) if part) or _NO_PATH

    def _invalid(self, path: str, value: Any, text: str) -> FieldError:
        return invalid(self._where(path), value, f"{path} in body {text}")

    def _wrong_type(self, path: str, wanted: str, got: Any) -> FieldError:
        shown = orjson.dumps(got).decode() if isinstance(got, str) else str(got)
        text = f"{path} in body must be of type {wanted}: {shown}"
        return FieldError("FieldValueTypeInvalid", self._where(path), got, text)

    def _plain(self, text: str) -> FieldError:
        """Upstream knows of these no field."""
        return invalid(self._under or _NO_PATH, "", text)

    # --- one value

    def check(self, value: Any, schema: Obj, path: str, old: Any) -> _Finding:
        if old is not _NOTHING and _is_same(value, old):
            return _Finding(matches=1)
        found = _Finding(self._type(value, schema, path), matches=1)
        if value is None:
            found.errors += self._enum(value, schema, path)
            return found
        found.merge(self._combined(value, schema, path, old))
        if isinstance(value, str):
            found.errors += self._string(value, schema, path)
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            found.errors += self._number(value, schema, path)
        elif isinstance(value, list):
            found.merge(self._list(value, schema, path, old))
        found.errors += self._enum(value, schema, path)
        if isinstance(value, dict):
            found.merge(self._map(value, schema, path, old))
        found.matches += 1
        return found

    def _type(self, value: Any, schema: Obj, path: str) -> list[FieldError]:
        types = _types(schema)
        if value is None:
            if types and not schema.get("nullable"):
                return [self._wrong_type(path, ",".join(types), "null")]
            return []
        if not types and not schema.get("format"):
            return []
        kind, own_format = _kind(value)
        wanted = schema.get("format") or ""
        numeric = bool({"number", "integer"} & set(types))
        fits = kind in types or (kind == "integer" and "number" in types)
        if kind == "number" and "integer" in types and float(value).is_integer():
            fits = True
        if wanted and formats.is_known(wanted):
            if isinstance(value, (str, list)):
                if not numeric:
                    return []  # The format says more.
            elif not fits and own_format != wanted:
                return [self._wrong_type(path, wanted, own_format)]
        return [] if fits or not types else [self._wrong_type(path, ",".join(types), kind)]

    def _enum(self, value: Any, schema: Obj, path: str) -> list[FieldError]:
        allowed = schema.get("enum")
        if not allowed or any(_is_same(value, one) for one in allowed):
            return []
        texts = [one if isinstance(one, str) else orjson.dumps(one).decode() for one in allowed]
        quoted = ", ".join(f'"{text}"' for text in texts)
        where = self._where(path)
        return [FieldError("FieldValueNotSupported", where, value, f"supported values: {quoted}")]

    def _text(self, value: str, schema: Obj, path: str) -> list[FieldError]:
        """The first that is wrong of length and pattern."""
        most, least = schema.get("maxLength"), schema.get("minLength")
        if most is not None and len(value) > most:
            return [too_long(self._where(path), most)]
        if least is not None and len(value) < least:
            return [self._invalid(path, value, f"should be at least {least} chars long")]
        pattern = schema.get("pattern")
        if pattern and not _matches(pattern, value):
            return [self._invalid(path, value, f"should match '{pattern}'")]
        return []

    def _string(self, value: str, schema: Obj, path: str) -> list[FieldError]:
        errors = self._text(value, schema, path)
        wanted = schema.get("format")
        if wanted and not formats.is_valid(wanted, value):
            errors.append(self._wrong_type(path, wanted, value))
        return errors

    def _number(self, value: float, schema: Obj, path: str) -> list[FieldError]:
        errors = self._range(value, schema, path, "Checked")
        return errors + self._multiple(value, schema, path) + self._bounds(value, schema, path)

    def _range(self, value: float, schema: Obj, path: str, what: str) -> list[FieldError]:
        kind, named = next(iter(_types(schema)), ""), schema.get("format")
        if _is_in_range(value, kind, named or ""):
            return []
        how = f" with format {named}" if named else " (default format)"
        return [self._plain(f"{what} value must be of type {kind}{how} in {path}")]

    def _multiple(self, value: float, schema: Obj, path: str) -> list[FieldError]:
        factor = schema.get("multipleOf")
        if factor is None:
            return []
        if isinstance(value, int):  # Upstream divides integers by the integral part.
            if int(factor) <= 0:
                text = f"factor MultipleOf declared for {path} must be positive: {int(factor)}"
                return [invalid(self._where(path), int(factor), text)]
            is_multiple = value % int(factor) == 0
        else:
            is_multiple = factor > 0 and (value / factor).is_integer()
        if is_multiple:
            return []
        return [self._invalid(path, value, f"should be a multiple of {_go_number(factor)}")]

    def _bounds(self, value: float, schema: Obj, path: str) -> list[FieldError]:
        errors: list[FieldError] = []
        for name, sign, words in (("Minimum", -1, "greater than"), ("Maximum", 1, "less than")):
            limit = schema.get(name.lower())
            if limit is None:
                continue
            exclusive = bool(schema.get(f"exclusive{name}"))
            wrong = self._range(limit, schema, path, f"{name} boundary")
            errors += wrong
            if isinstance(value, int) and not wrong:
                limit = int(limit)  # Upstream compares integers with the integral part.
            if sign * value > sign * limit or (exclusive and value == limit):
                rest = "" if exclusive else " or equal to"
                text = f"should be {words}{rest} {_go_number(limit)}"
                errors.append(self._invalid(path, value, text))
        return errors

    # --- what is within

    def _list(self, value: list[Any], schema: Obj, path: str, old: Any) -> _Finding:
        found = _Finding()
        items = schema.get("items")
        before = _old_items(schema, old)
        if isinstance(items, dict):
            for index, item in enumerate(value):
                was = before.get(_item_name(schema, item), _NOTHING) if before else _NOTHING
                found.merge(self.check(item, items, f"{path}[{index}]", was))
        most, least = schema.get("maxItems"), schema.get("minItems")
        if least is not None and len(value) < least:
            text = f"should have at least {least} items"
            found.errors.append(self._invalid(path, len(value), text))
        if most is not None and len(value) > most:
            found.errors.append(too_many(self._where(path), len(value), most))
        if schema.get("uniqueItems") and len({_text(item) for item in value}) < len(value):
            found.errors.append(self._invalid(path, "", "shouldn't contain duplicates"))
        return found

    def _map(self, value: Obj, schema: Obj, path: str, old: Any) -> _Finding:
        found = _Finding()
        most, least = schema.get("maxProperties"), schema.get("minProperties")
        if least is not None and len(value) < least:
            text = f"should have at least {least} properties"
            found.errors.append(self._invalid(path, len(value), text))
        if most is not None and len(value) > most:
            found.errors.append(too_many(self._where(path), len(value), most))
        properties, others = schema.get("properties") or {}, schema.get("additionalProperties")
        before = old if isinstance(old, dict) else {}
        # First what no property is known for, as upstream.
        for name in sorted(value, key=lambda name: (name in properties, name)):
            inner = properties.get(name, others)
            if isinstance(inner, dict):
                was = before.get(name, _NOTHING)
                found.merge(self.check(value[name], inner, _below(path, name), was))
            elif others is False:
                text = f"{path}.{name} in body is a forbidden property"
                found.errors.append(invalid(self._where(path), name, text))
        found.errors += [
            required(self._where(_below(path, name)))
            for name in schema.get("required") or ()
            if name not in value
        ]
        return found

    # --- several schemas at once

    def _combined(self, value: Any, schema: Obj, path: str, old: Any) -> _Finding:
        found = _Finding()
        for word, merge in (("anyOf", self._any_of), ("oneOf", self._one_of), ("allOf", _all_of)):
            if alternatives := schema.get(word):
                results = [self.check(value, one, path, old) for one in alternatives]
                merge(results, path, found, self._plain)
        refused = schema.get("not")
        if refused is not None and not self.check(value, refused, path, _NOTHING).errors:
            found.errors.append(self._plain(f'"{path}" must not validate the schema (not)'))
        return found

    def _any_of(self, results: list[_Finding], path: str, found: _Finding, plain: Any) -> None:
        good = next((one for one in results if not one.errors), None)
        if good is not None:
            found.merge(good)
            return
        found.errors.append(plain(f'"{path}" must validate at least one schema (anyOf)'))
        found.merge(_closest(results))

    def _one_of(self, results: list[_Finding], path: str, found: _Finding, plain: Any) -> None:
        good = [one for one in results if not one.errors]
        if len(good) == 1:
            found.merge(good[0])
            return
        words = f"Found {len(good)} valid alternatives" if good else "Found none valid"
        text = f'"{path}" must validate one and only one schema (oneOf). {words}'
        found.errors.append(plain(text))
        if not good:
            found.merge(_closest(results))


def _all_of(results: list[_Finding], path: str, found: _Finding, plain: Any) -> None:
    bad = [one for one in results if one.errors]
    for one in results:
        found.merge(one)
    if bad:
        none = ". None validated" if len(bad) == len(results) else ""
        found.errors.append(plain(f'"{path}" must validate all the schemas (allOf){none}'))


def _closest(results: list[_Finding]) -> _Finding:
    return max(results, key=lambda one: one.matches)


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _types(schema: Obj) -> list[str]:
    if schema.get("x-kubernetes-int-or-string"):
        return ["integer", "string"]
    kind = schema.get("type")
    return [kind] if kind else []


def _kind(value: Any) -> tuple[str, str]:
    """A value's type and its own format."""
    if isinstance(value, bool):
        return "boolean", ""
    if isinstance(value, int):
        return "integer", "int64"
    if isinstance(value, float):
        return "number", "double"
    if isinstance(value, str):
        return "string", ""
    return ("array", "") if isinstance(value, list) else ("object", "")


def _is_in_range(value: float, kind: str, wanted: str) -> bool:
    if kind != "integer":
        return True
    if isinstance(value, float) and not value.is_integer():
        return False
    low, high = _INT32 if wanted == "int32" else _INT64
    return low <= value <= high


def _matches(pattern: str, value: str) -> bool:
    try:
        return compiled(pattern).search(value) is not None
    except BadPattern:
        return False


def _go_number(value: float) -> str:
    """As Go prints a float64 with %v."""
    if not isinstance(value, float) or (value.is_integer() and abs(value) < 1e21):
        number = int(value)
        return str(number) if abs(number) < 10**21 else f"{value:e}"
    return repr(value) if math.isfinite(value) else str(value)


def _text(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _is_same(one: Any, other: Any) -> bool:
    """Equal, where true is not 1 as it is in Python."""
    if isinstance(one, bool) is not isinstance(other, bool):
        return False
    if isinstance(one, (dict, list)):
        return type(one) is type(other) and _text(one) == _text(other)
    return bool(one == other)


def _item_name(schema: Obj, item: Any) -> bytes | None:
    keys = schema.get("x-kubernetes-list-map-keys") or ()
    return _text([item.get(key) for key in keys]) if isinstance(item, dict) else None


def _old_items(schema: Obj, old: Any) -> dict[bytes | None, Any]:
    """Items of before by their keys, where they have any."""
    if not isinstance(old, list) or schema.get("x-kubernetes-list-type") != "map":
        return {}
    return {_item_name(schema, item): item for item in old}
