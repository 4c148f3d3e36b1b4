"""A file of issuers whose tokens are believed: AuthenticationConfiguration.

Read once at the start. Upstream: apiserver pkg/apis/apiserver (v1 types, validation),
--authentication-config.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from cryptography import x509

from tiphys.api.field_errors import FieldError, duplicate, invalid, required, too_many
from tiphys.api.meta import Obj
from tiphys.apiserver.filters.claim_mapping import mapping_of
from tiphys.apiserver.filters.oidc import Issuer
from tiphys.codec import yaml
from tiphys.codec.typed import DecodeError

ISSUERS_MAX: Final = 64
FILE_BYTES_MAX: Final = 4 << 20  # Ours.
_VERSIONS: Final = tuple(f"apiserver.config.k8s.io/{v}" for v in ("v1", "v1beta1", "v1alpha1"))
_KIND: Final = "AuthenticationConfiguration"
_ANY: Final = "MatchAny"

# Field -> what is in it: str for a value, a table for a struct, a table in a list for structs.
_Shape = Mapping[str, Any]
_CLAIM: Final[_Shape] = {"claim": str, "prefix": str, "expression": str}
_SHAPE: Final[_Shape] = {
    "apiVersion": str,
    "kind": str,
    "jwt": [
        {
            "issuer": {
                "url": str,
                "discoveryURL": str,
                "certificateAuthority": str,
                "audiences": [str],
                "audienceMatchPolicy": str,
            },
            "claimValidationRules": [
                {"claim": str, "requiredValue": str, "expression": str, "message": str}
            ],
            "claimMappings": {
                "username": _CLAIM,
                "groups": _CLAIM,
                "uid": {"claim": str, "expression": str},
                "extra": [{"key": str, "valueExpression": str}],
            },
            "userValidationRules": [{"expression": str, "message": str}],
        }
    ],
    "anonymous": {"enabled": bool, "conditions": [{"path": str}]},
}


_NAMES: Final = {str: "text", bool: "truth value"}


@dataclass(frozen=True, slots=True)
class AuthenticationConfig:
    """`anonymous_paths`: where who shows nothing is let in as nobody; None: everywhere."""

    issuers: tuple[Issuer, ...] = ()
    anonymous_paths: frozenset[str] | None = None


def read(path: Path, own_issuers: Sequence[str]) -> AuthenticationConfig:
    """own_issuers: of our tokens, which nobody else may be. Raises ValueError, OSError."""
    if path.stat().st_size > FILE_BYTES_MAX:
        raise ValueError(f"{path} is larger than {FILE_BYTES_MAX} bytes")
    try:
        document = yaml.decode(path.read_bytes())
    except DecodeError as error:
        raise ValueError(f"{path}: {error}") from None
    if document.get("apiVersion") not in _VERSIONS or document.get("kind") != _KIND:
        raise ValueError(f"{path} is no {_KIND} of {_VERSIONS[0]}")
    if odd := _misfit(document, _SHAPE, ""):
        raise ValueError(f"{path}: {odd}")
    errors: list[FieldError] = []
    found = AuthenticationConfig(
        tuple(_issuers(document.get("jwt") or [], own_issuers, errors)),
        _anonymous(document.get("anonymous"), errors),
    )
    if errors:
        raise ValueError(f"{path}: {'; '.join(map(str, errors))}")
    return found


def _misfit(value: Any, shape: Any, path: str) -> str:
    """What is in the file and has no place there; empty for nothing."""
    if value is None:
        return ""
    if isinstance(shape, type):
        return "" if isinstance(value, shape) else f"{path} is no {_NAMES[shape]}"
    if isinstance(shape, list):
        if not isinstance(value, list):
            return f"{path} is no list"
        if None in value:
            return f"{path}[{value.index(None)}] is null"
        found = (_misfit(one, shape[0], f"{path}[{n}]") for n, one in enumerate(value))
        return next(filter(None, found), "")
    if not isinstance(value, dict):
        return f"{path} is no object"
    for name, inner in value.items():
        where = f"{path}.{name}".lstrip(".")
        if name not in shape:
            return f'unknown field "{where}"'
        if odd := _misfit(inner, shape[name], where):
            return odd
    return ""


def _issuers(
    entries: list[Obj], own_issuers: Sequence[str], errors: list[FieldError]
) -> list[Issuer]:
    if len(entries) > ISSUERS_MAX:
        errors.append(too_many("jwt", len(entries), ISSUERS_MAX))
        return []
    found: list[Issuer] = []
    for index, entry in enumerate(entries):
        path = f"jwt[{index}]"
        said = entry.get("issuer") or {}
        issuer = Issuer(
            url=said.get("url") or "",
            audiences=tuple(said.get("audiences") or ()),
            user_of=mapping_of(entry, path, errors),
            authority=said.get("certificateAuthority") or "",
            discovery_url=said.get("discoveryURL") or "",
        )
        errors += _issuer_errors(issuer, said, own_issuers, f"{path}.issuer")
        if any(other.url == issuer.url for other in found):
            errors.append(duplicate(f"{path}.issuer.url", issuer.url))
        if any(issuer.discovery_url and o.discovery_url == issuer.discovery_url for o in found):
            errors.append(duplicate(f"{path}.issuer.discoveryURL", issuer.discovery_url))
        found.append(issuer)
    return found


def _issuer_errors(
    issuer: Issuer, said: Obj, own_issuers: Sequence[str], path: str
) -> list[FieldError]:
    if issuer.url:
        errors = _url_errors(issuer.url, f"{path}.url", own_issuers)
    else:
        errors = [required(f"{path}.url")]
    if issuer.discovery_url:
        where = f"{path}.discoveryURL"
        if issuer.url and issuer.url.rstrip("/") == issuer.discovery_url.rstrip("/"):
            errors.append(
                invalid(where, issuer.discovery_url, "discoveryURL must be different from URL")
            )
        errors += _url_errors(issuer.discovery_url, where, ())
    policy = said.get("audienceMatchPolicy") or ""
    return [*errors, *_audience_errors(issuer, policy, path), *_authority_errors(issuer, path)]


def _url_errors(url: str, path: str, disallowed: Sequence[str]) -> list[FieldError]:
    errors = []
    if url in disallowed:
        text = f"URL must not overlap with disallowed issuers: [{' '.join(sorted(disallowed))}]"
        errors.append(invalid(path, url, text))
    try:
        parts = urlsplit(url)
    except ValueError as error:
        return [*errors, invalid(path, url, str(error))]
    if parts.scheme != "https":
        errors.append(invalid(path, url, "URL scheme must be https"))
    if "@" in parts.netloc:
        errors.append(invalid(path, url, "URL must not contain a username or password"))
    if parts.query:
        errors.append(invalid(path, url, "URL must not contain a query"))
    if parts.fragment:
        errors.append(invalid(path, url, "URL must not contain a fragment"))
    return errors


def _audience_errors(issuer: Issuer, policy: str, path: str) -> list[FieldError]:
    where, audiences = f"{path}.audiences", issuer.audiences
    if not audiences:
        return [required(where, f"at least one {where} is required")]
    errors = []
    for index, audience in enumerate(audiences):
        if not audience:
            errors.append(required(f"{where}[{index}]"))
        if audience in audiences[:index]:
            errors.append(duplicate(f"{where}[{index}]", audience))
    if policy != _ANY and (len(audiences) > 1 or policy):
        many = "MatchAny for multiple audiences"
        text = many if len(audiences) > 1 else "empty or MatchAny for single audience"
        where = f"{path}.audienceMatchPolicy"
        errors.append(invalid(where, policy, f"audienceMatchPolicy must be {text}"))
    return errors


def _authority_errors(issuer: Issuer, path: str) -> list[FieldError]:
    if issuer.authority:
        try:
            x509.load_pem_x509_certificates(issuer.authority.encode())
        except ValueError:
            text = "data does not contain any valid RSA or ECDSA certificates"
            return [invalid(f"{path}.certificateAuthority", "<omitted>", text)]
    return []


def _anonymous(said: Obj | None, errors: list[FieldError]) -> frozenset[str] | None:
    """Paths; None for all."""
    if said is None:
        return None
    paths = frozenset(one.get("path") or "" for one in said.get("conditions") or [])
    if said.get("enabled"):
        return paths or None
    if paths:
        text = "enabled should be set to true when conditions are defined"
        errors.append(invalid("anonymous.conditions", sorted(paths), text))
    return frozenset()
