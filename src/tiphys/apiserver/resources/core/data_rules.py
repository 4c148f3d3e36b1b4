"""Validation of ConfigMaps and Secrets. Upstream: pkg/apis/core/validation/validation.go."""

import base64
from typing import Final

import orjson

from tiphys.api import names
from tiphys.api.field_errors import FieldError, forbidden, invalid, required, too_long
from tiphys.api.meta import Obj, annotations_of
from tiphys.apiserver.resources.rules.texts import each
from tiphys.codec.json_syntax import syntax_error

DATA_BYTES_MAX: Final = 1024 * 1024
_ACCOUNT_ANNOTATION: Final = "kubernetes.io/service-account.name"
_REDACTED: Final = "<secret contents redacted>"
_GO_NAMES: Final = {list: "array", str: "string", bool: "bool"}


def _size(encoded: str) -> int:
    """Bytes of a base64 text."""
    return len(encoded) * 3 // 4 - encoded.count("=", -2)


def config_map(obj: Obj) -> list[FieldError]:
    data, binary = obj.get("data") or {}, obj.get("binaryData") or {}
    errors: list[FieldError] = []
    for key in sorted(data):
        errors += each(f"data[{key}]", key, names.config_map_key(key))
        if key in binary:
            errors.append(invalid(f"data[{key}]", key, "duplicate of key present in binaryData"))
    for key in sorted(binary):
        errors += each(f"binaryData[{key}]", key, names.config_map_key(key))
    total = sum(len(v.encode()) for v in data.values()) + sum(map(_size, binary.values()))
    if total > DATA_BYTES_MAX:
        errors.append(too_long("[]", DATA_BYTES_MAX))
    return errors


def config_map_update(new: Obj, old: Obj) -> list[FieldError]:
    return _immutable(new, old, ("data", "binaryData"))


def secret(obj: Obj) -> list[FieldError]:
    data = obj.get("data") or {}
    errors: list[FieldError] = []
    for key in sorted(data):
        errors += each(f"data[{key}]", key, names.config_map_key(key))
    if sum(map(_size, data.values())) > DATA_BYTES_MAX:
        errors.append(too_long("data", DATA_BYTES_MAX))
    return errors + _by_type(obj, data)


def _by_type(obj: Obj, data: Obj) -> list[FieldError]:
    match obj.get("type"):
        case "kubernetes.io/service-account-token":
            if not annotations_of(obj).get(_ACCOUNT_ANNOTATION):
                return [required(f"metadata.annotations[{_ACCOUNT_ANNOTATION}]")]
        case "kubernetes.io/dockercfg":
            return _json_at(data, ".dockercfg")
        case "kubernetes.io/dockerconfigjson":
            return _json_at(data, ".dockerconfigjson")
        case "kubernetes.io/basic-auth":
            if not {"username", "password"} & set(data):
                return [required("data[username]"), required("data[password]")]
        case "kubernetes.io/ssh-auth":
            if not data.get("ssh-privatekey"):
                return [required("data[ssh-privatekey]")]
        case "kubernetes.io/tls":
            return [required(f"data[{k}]") for k in ("tls.crt", "tls.key") if k not in data]
    return []


def _json_at(data: Obj, key: str) -> list[FieldError]:
    path = f"data[{key}]"
    if key not in data:
        return [required(path)]
    text = base64.b64decode(data[key])
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return [invalid(path, _REDACTED, syntax_error(text))]
    if found is None or isinstance(found, dict):
        return []
    what = _GO_NAMES.get(type(found), "number")
    why = f"json: cannot unmarshal {what} into Go value of type map[string]interface {{}}"
    return [invalid(path, _REDACTED, why)]


def secret_update(new: Obj, old: Obj) -> list[FieldError]:
    errors: list[FieldError] = []
    if new.get("type") != old.get("type"):
        errors.append(invalid("type", new.get("type"), "field is immutable"))
    return errors + _immutable(new, old, ("data",))


def _immutable(new: Obj, old: Obj, fields: tuple[str, ...]) -> list[FieldError]:
    if not old.get("immutable"):
        return []
    text = "field is immutable when `immutable` is set"
    errors = [] if new.get("immutable") else [forbidden("immutable", text)]
    changed = [f for f in fields if (new.get(f) or {}) != (old.get(f) or {})]
    return errors + [forbidden(field, text) for field in changed]
