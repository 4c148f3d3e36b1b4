"""CsiDriver. Upstream: pkg/registry/storage/csidriver."""

from datetime import datetime
from typing import Any, Final

from tiphys.api.field_errors import FieldError, duplicate, invalid, not_supported, required
from tiphys.api.meta import Obj, at
from tiphys.api.resources import built_in
from tiphys.apiserver.resources import cells, generation
from tiphys.apiserver.resources.columns import columns_of
from tiphys.apiserver.resources.resource import Resource
from tiphys.apiserver.resources.rules.texts import immutable, unsupported

_INFO = built_in("storage.k8s.io", "v1", "csidrivers")

_TOKEN_SECONDS_MIN: Final = 600
_TOKEN_SECONDS_MAX: Final = 1 << 32
_UPDATE_PERIOD_MIN: Final = 10
_GROUP_POLICIES: Final = ("File", "None", "ReadWriteOnceWithFSType")
_LIFECYCLE_MODES: Final = ("Persistent", "Ephemeral")
# Fields that defaults fill: only a null is left for validation. The first is misspelt upstream.
_NEEDED: Final = {
    "attachRequired": "attachedRequired",
    "podInfoOnMount": "podInfoOnMount",
    "storageCapacity": "storageCapacity",
}
_TOKENS_IN_SECRETS: Final = "serviceAccountTokenInSecrets"
_DEFAULTS: Final[Obj] = {
    "attachRequired": True,
    "podInfoOnMount": False,
    "storageCapacity": False,
    "fsGroupPolicy": "ReadWriteOnceWithFSType",
    "volumeLifecycleModes": ["Persistent"],
    "requiresRepublish": False,
    "seLinuxMount": False,
}


def default(driver: Obj) -> None:
    for field, value in _DEFAULTS.items():
        driver["spec"].setdefault(field, list(value) if isinstance(value, list) else value)


def validate(driver: Obj) -> list[FieldError]:
    spec = driver["spec"]
    errors = [required(f"spec.{shown}") for f, shown in _NEEDED.items() if spec.get(f) is None]
    policy = spec.get("fsGroupPolicy", "")
    if policy not in _GROUP_POLICIES:
        errors.append(not_supported("spec.fsGroupPolicy", policy, _GROUP_POLICIES))
    errors += _token_request_errors(spec)
    errors += [
        unsupported("spec.volumeLifecycleModes", mode, _LIFECYCLE_MODES)
        for mode in spec.get("volumeLifecycleModes") or ()
        if mode not in _LIFECYCLE_MODES
    ]
    if spec.get("seLinuxMount") is None:
        errors.append(required("spec.seLinuxMount"))
    seconds = spec.get("nodeAllocatableUpdatePeriodSeconds")
    if seconds is not None and seconds < _UPDATE_PERIOD_MIN:
        text = f"must be greater than or equal to {_UPDATE_PERIOD_MIN} seconds"
        errors.append(invalid("spec.nodeAllocatableUpdatePeriodSeconds", seconds, text))
    if spec.get(_TOKENS_IN_SECRETS) is not None and not spec.get("tokenRequests"):
        text = "serviceAccountTokenInSecrets is set but no tokenRequests are specified"
        errors.append(invalid(f"spec.{_TOKENS_IN_SECRETS}", spec[_TOKENS_IN_SECRETS], text))
    return errors


def _token_request_errors(spec: Obj) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, request in enumerate(spec.get("tokenRequests") or ()):
        path, audience = f"spec.tokenRequests[{index}]", request.get("audience", "")
        if audience in seen:
            errors.append(duplicate(f"{path}.audience", audience))
            continue
        seen.add(audience)
        seconds = request.get("expirationSeconds")
        where = f"{path}.expirationSeconds"
        if seconds is not None and seconds < _TOKEN_SECONDS_MIN:
            text = "may not specify a duration less than 10 minutes"
            errors.append(invalid(where, seconds, text))
        if seconds is not None and seconds > _TOKEN_SECONDS_MAX:
            text = "may not specify a duration larger than 2^32 seconds"
            errors.append(invalid(where, seconds, text))
    return errors


def validate_update(new: Obj, old: Obj) -> list[FieldError]:
    spec, before = new["spec"], old["spec"]
    fields = {"attachRequired": "attachedRequired", "volumeLifecycleModes": "volumeLifecycleModes"}
    return [
        error
        for field, shown in fields.items()
        for error in immutable(spec.get(field), before.get(field), f"spec.{shown}")
    ]


def warnings(driver: Obj, old: Obj | None) -> list[str]:
    spec = driver["spec"]
    if old is not None and old["spec"].get("tokenRequests") == spec.get("tokenRequests"):
        return []
    if not spec.get("tokenRequests") or spec.get(_TOKENS_IN_SECRETS) is not None:
        return []
    return [
        f"spec.{_TOKENS_IN_SECRETS} is unset; if supported by this CSI driver, set to true to "
        "prevent possible logging of tokens in volume attributes"
    ]


_GATED: Final = "preventPodSchedulingIfMissing"  # Alpha: VolumeLimitScaling.


def before_create(driver: Obj) -> None:
    driver["spec"].pop(_GATED, None)


def before_update(new: Obj, old: Obj) -> None:
    if _GATED not in old["spec"]:
        new["spec"].pop(_GATED, None)
    generation.bump(new, old)


def _modes(driver: Obj, _: datetime) -> Any:
    return ",".join(at(driver, "spec", "volumeLifecycleModes", default=[])) or "<none>"


def _token_requests(driver: Obj, _: datetime) -> Any:
    requests = at(driver, "spec", "tokenRequests")
    return "<unset>" if requests is None else ",".join(r.get("audience", "") for r in requests)


CSI_DRIVER = Resource(
    _INFO,
    validate=validate,
    validate_update=validate_update,
    warnings=warnings,
    allow_unconditional_update=False,
    columns=columns_of(
        _INFO,
        cells.name,
        cells.value("spec", "attachRequired", default=True),
        cells.value("spec", "podInfoOnMount", default=False),
        cells.value("spec", "storageCapacity", default=False),
        _token_requests,
        cells.value("spec", "requiresRepublish", default=False),
        _modes,
        cells.age,
    ),
    default=default,
    before_create=before_create,
    before_update=before_update,
)
