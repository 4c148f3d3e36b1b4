"""Whether a value of one type may stand where another is wanted, with parameters not known yet.

Source: doc/langdef.md (Gradual Type Checking); cel-go checker/types.go.
"""

from tiphys.cel import types
from tiphys.cel.types import (
    DURATION_KIND,
    DYN,
    LIST_KIND,
    MAP_KIND,
    NULL_KIND,
    OPAQUE_KIND,
    PARAM_KIND,
    STRUCT_KIND,
    TIMESTAMP_KIND,
    TYPE_KIND,
    Type,
)

Bindings = dict[str, Type]
"""What the parameters are so far, by their names."""

_NULLABLE = (OPAQUE_KIND, STRUCT_KIND, DURATION_KIND, TIMESTAMP_KIND)


def assignable(bound: Bindings, one: Type, other: Type) -> bool:
    """Binds parameters on the way, also where the answer is no: callers keep a copy."""
    if other.kind == PARAM_KIND:
        fits, is_bound = _binds(bound, one, other)
        if fits or is_bound:
            return fits
    if one.kind == PARAM_KIND:
        return _binds(bound, other, one)[0]
    if _is_loose(one) or _is_loose(other):
        return True
    if one.kind == NULL_KIND or other.kind == NULL_KIND:
        kinds = {one.kind, other.kind}
        return kinds == {NULL_KIND} or not kinds.isdisjoint(_NULLABLE)
    if one.kind == TYPE_KIND:
        return other.kind == TYPE_KIND
    if one.kind in (OPAQUE_KIND, LIST_KIND, MAP_KIND):
        same = one.kind == other.kind and one.name == other.name
        return same and all_assignable(bound, one.params, other.params)
    return one.kind == other.kind and one.name == other.name


def all_assignable(
    bound: Bindings, some: tuple[Type, ...] | list[Type], others: tuple[Type, ...] | list[Type]
) -> bool:
    return len(some) == len(others) and all(
        assignable(bound, a, b) for a, b in zip(some, others, strict=True)
    )


def _is_loose(one: Type) -> bool:
    return one.kind in (types.DYN_KIND, types.ERROR_KIND)


def _binds(bound: Bindings, one: Type, parameter: Type) -> tuple[bool, bool]:
    """(whether the parameter may be this type, whether it was bound before)."""
    if one == parameter:
        return True, True
    known = bound.get(parameter.name)
    if known is not None:
        if one == known:
            return True, True
        if not assignable(bound, one, known):
            return False, True
        general = most_general(one, known)
        if not _occurs(bound, parameter, general):
            bound[parameter.name] = general
        return True, True
    if _occurs(bound, parameter, one):
        return False, False
    bound[parameter.name] = one
    return True, False


def _occurs(bound: Bindings, parameter: Type, within: Type) -> bool:
    if within == parameter:
        return True
    if within.kind == PARAM_KIND:
        known = bound.get(within.name)
        return known is not None and _occurs(bound, parameter, known)
    return any(_occurs(bound, parameter, one) for one in within.params)


def most_general(one: Type, other: Type) -> Type:
    return one if _is_less_specific(one, other) else other


def _is_less_specific(one: Type, other: Type) -> bool:
    if one.is_dyn or one.kind == PARAM_KIND:
        return True
    if other.is_dyn or other.kind == PARAM_KIND or one.kind != other.kind:
        return False
    if one.kind == TYPE_KIND:
        return True
    if one.kind in (OPAQUE_KIND, LIST_KIND, MAP_KIND):
        return (
            one.name == other.name
            and len(one.params) == len(other.params)
            and all(_is_less_specific(a, b) for a, b in zip(one.params, other.params, strict=True))
        )
    return one == other


def substituted(bound: Bindings, one: Type, *, to_dyn: bool) -> Type:
    """With parameters replaced by what they are; those that nothing is known of by dyn if asked."""
    if one.kind == PARAM_KIND:
        known = bound.get(one.name)
        if known is not None:
            return substituted(bound, known, to_dyn=to_dyn)
        return DYN if to_dyn else one
    if not one.params:
        return one
    params = tuple(substituted(bound, inner, to_dyn=to_dyn) for inner in one.params)
    return Type(one.kind, one.name, params)
