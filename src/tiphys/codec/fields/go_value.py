"""Values in the words of structured-merge-diff, which prints its own struct around them.

Upstream: structured-merge-diff value/valueunstructured.go; fmt's %v, %#v and %T.
"""

from typing import Any

from tiphys.api.field_errors import go_quoted as quoted

_KINDS = {str: "string", bool: "bool", int: "int64", float: "float64", list: "[]interface {}"}


def printed(value: Any) -> str:
    """With %v."""
    return f"&{{{_plain(value)}}}"


def as_source(value: Any) -> str:
    """With %#v."""
    return f"&value.valueUnstructured{{Value:{_source(value)}}}"


def kind(value: Any) -> str:
    """With %T, of the value itself."""
    return _KINDS.get(type(value), "map[string]interface {}")


def _plain(value: Any) -> str:
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{' '.join(map(_plain, value))}]"
    if isinstance(value, dict):
        return f"map[{' '.join(f'{k}:{_plain(value[k])}' for k in sorted(value))}]"
    return str(value)


def _source(value: Any) -> str:
    if value is None:
        return "interface {}(nil)"
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, list):
        return f"[]interface {{}}{{{', '.join(map(_source, value))}}}"
    if isinstance(value, dict):
        pairs = (f"{quoted(k)}:{_source(value[k])}" for k in sorted(value))
        return f"map[string]interface {{}}{{{', '.join(pairs)}}}"
    return _plain(value)
