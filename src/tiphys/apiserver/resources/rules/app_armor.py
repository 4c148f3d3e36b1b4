"""AppArmor profiles as annotations of old said them (KEP-24).

Upstream: pkg/api/pod/util.go (ApparmorFieldForAnnotation).
"""

from typing import Final

from tiphys.api.meta import Obj

_PROFILE_MAX: Final = 4095  # PATH_MAX - 1; upstream's maxLocalhostProfileLength.
_LOCALHOST: Final = "localhost/"
_PROFILES: Final[dict[str, Obj]] = {
    "runtime/default": {"type": "RuntimeDefault"},
    "unconfined": {"type": "Unconfined"},
}


def profile_of(annotation: str) -> Obj | None:
    """The field that says the same; None where no field can."""
    if not annotation.startswith(_LOCALHOST):
        return _PROFILES.get(annotation)
    name = annotation.removeprefix(_LOCALHOST)
    if not name or name.strip() != name or len(name) > _PROFILE_MAX:
        return None
    return {"type": "Localhost", "localhostProfile": name}
