"""Whether a toleration covers a taint. Pure. Upstream: component-helpers/scheduling/corev1."""

from tiphys.api.meta import Obj


def tolerates(toleration: Obj, taint: Obj) -> bool:
    """An empty effect matches every effect; an empty key with Exists matches every taint."""
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if toleration.get("key") and toleration["key"] != taint.get("key"):
        return False
    operator = toleration.get("operator") or "Equal"
    value, wanted = toleration.get("value", ""), taint.get("value", "")
    if operator == "Exists":
        return True
    if operator in ("Gt", "Lt"):
        return _compares(operator, value, wanted)
    return bool(toleration.get("key")) and value == wanted


def _compares(operator: str, value: str, taint_value: str) -> bool:
    """Numeric comparison (KEP-5471). Text that is no integer never matches."""
    try:
        left, right = int(taint_value), int(value)
    except ValueError:
        return False
    return left > right if operator == "Gt" else left < right
