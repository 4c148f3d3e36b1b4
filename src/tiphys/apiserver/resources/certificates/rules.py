"""Validation of CertificateSigningRequests. Upstream: pkg/apis/certificates/validation."""

import base64
import re
from collections.abc import Callable
from typing import Final

from cryptography import x509

from tiphys.api import names
from tiphys.api.field_errors import (
    FieldError,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
    too_long,
)
from tiphys.api.meta import Obj, at
from tiphys.apiserver.resources.rules.texts import each, repeats, unsupported
from tiphys.lib import certificate_request

_USAGES: Final = (
    "any", "cert sign", "client auth", "code signing", "content commitment", "crl sign",
    "data encipherment", "decipher only", "digital signature", "email protection",
    "encipher only", "ipsec end system", "ipsec tunnel", "ipsec user", "key agreement",
    "key encipherment", "microsoft sgc", "netscape sgc", "ocsp signing", "s/mime", "server auth",
    "signing", "timestamping",
)  # fmt: skip
_SECONDS_MIN: Final = 600
_BLOCKS: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----")
_HEADER: Final = re.compile(rb"-----BEGIN CERTIFICATE-----\r?\n[^\r\n:]+:")
APPROVALS: Final = ("Approved", "Denied")
_SIGNER_BYTES_MAX: Final = 571  # A domain, a slash, a namespace, a dot and a resource's name.
_LASTING: Final = (*APPROVALS, "Failed")  # Conditions that stay, and that are only ever True.
_LEGACY_SIGNER: Final = "kubernetes.io/legacy-unknown"
_CONDITIONS: Final = "status.conditions"
_CERTIFICATE: Final = "status.certificate"


def validate(request: Obj) -> list[FieldError]:
    spec = request["spec"]
    errors: list[FieldError] = []
    pem = spec.get("request")
    try:
        certificate_request.check_signature(certificate_request.parse(base64.b64decode(pem or "")))
    except ValueError as exc:
        errors.append(invalid("spec.request", pem, str(exc)))
    usages = spec.get("usages") or []
    if not usages:
        errors.append(required("spec.usages"))
    errors += [
        unsupported(f"spec.usages[{index}]", usage, _USAGES)
        for index, usage in enumerate(usages)
        if usage not in _USAGES
    ]
    errors += [duplicate(f"spec.usages[{index}]", usages[index]) for index in repeats(usages)]
    errors += _signer(spec.get("signerName", ""), "spec.signerName")
    seconds = spec.get("expirationSeconds")
    if seconds is not None and seconds < _SECONDS_MIN:
        text = "may not specify a duration less than 600 seconds (10 minutes)"
        errors.append(invalid("spec.expirationSeconds", seconds, text))
    return errors + _condition_errors(request)


def validate_create(request: Obj) -> list[FieldError]:
    signer = request["spec"].get("signerName")
    if signer != _LEGACY_SIGNER:
        return []
    text = "the legacy signerName is not allowed via this API version"
    return [invalid("spec.signerName", signer, text)]


def validate_approval(new: Obj, old: Obj) -> list[FieldError]:
    """Of the subresource approval; the certificate is out of its reach."""
    return _removed(new, old)


def validate_status(new: Obj, old: Obj) -> list[FieldError]:
    """Of the subresource status: who signs does not approve, and signs once."""
    certificate, before = at(new, "status", "certificate"), at(old, "status", "certificate")
    errors = validate(new)
    why = _certificate_error(certificate or "") if certificate != before else ""
    if why:
        errors.append(invalid(_CERTIFICATE, "<certificate data>", why))
    errors += _removed(new, old)
    for kind in APPROVALS:
        if len(of_type(new, kind)) > len(of_type(old, kind)):
            text = f'updates may not add a condition of type "{kind}"'
            errors.append(forbidden(_CONDITIONS, text))
    if before and certificate != before:
        text = "updates may not modify existing certificate content"
        errors.append(forbidden(_CERTIFICATE, text))
    return errors


def of_type(request: Obj, kind: str) -> list[Obj]:
    return [c for c in at(request, "status", "conditions", default=[]) if c.get("type") == kind]


def _removed(new: Obj, old: Obj) -> list[FieldError]:
    return [
        forbidden(_CONDITIONS, f'updates may not remove a condition of type "{kind}"')
        for kind in _LASTING
        if len(of_type(new, kind)) < len(of_type(old, kind))
    ]


def _condition_errors(request: Obj) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for index, condition in enumerate(at(request, "status", "conditions", default=[])):
        path = f"{_CONDITIONS}[{index}]"
        kind, status = condition.get("type", ""), condition.get("status", "")
        allowed = ("True",) if kind in _LASTING else ("True", "False", "Unknown")
        if not kind:
            errors.append(required(f"{path}.type"))
        if not status:
            errors.append(required(f"{path}.status"))
        elif status not in allowed:
            errors.append(not_supported(f"{path}.status", status, allowed))
        if kind in APPROVALS and seen & (set(APPROVALS) - {kind}):
            text = "Approved and Denied conditions are mutually exclusive"
            errors.append(invalid(_CONDITIONS, kind, text))
        if kind in seen:
            errors.append(duplicate(f"{path}.type", kind))
        seen.add(kind)
    return errors


def _certificate_error(encoded: str) -> str:
    """Why a status cannot hold this; empty when it can. Upstream: validateCertificate."""
    pem = base64.b64decode(encoded)
    if not pem:
        return ""
    try:
        kinds = [k.decode() for k in _BLOCKS.findall(pem)]
        if any(kind != "CERTIFICATE" for kind in kinds):
            other = next(kind for kind in kinds if kind != "CERTIFICATE")
            return f'only CERTIFICATE PEM blocks are allowed, found "{other}"'
        if not kinds:
            return "must contain at least one CERTIFICATE PEM block"
        if _HEADER.search(pem):
            return "no PEM block headers are permitted"
        x509.load_pem_x509_certificates(pem)
    except ValueError as exc:
        return str(exc)
    return ""


def _signer(name: str, path: str) -> list[FieldError]:
    if not name:
        return [required(path)]
    host, slash, rest = name.partition("/")
    if not slash or "/" in rest:
        text = "must be a fully qualified domain and path of the form 'example.com/signer-name'"
        return [invalid(path, name, text)]
    too_long_host = len(host.encode()) > names.DNS_SUBDOMAIN_MAX
    errors = [too_long(path, names.DNS_SUBDOMAIN_MAX)] if too_long_host else []
    errors += _parts(host, path, names.dns_label)
    if "." not in host:
        text = "should be a domain with at least two segments separated by dots"
        errors.append(invalid(path, host, text))
    errors += _parts(rest, path, names.dns_subdomain)
    if len(name.encode()) > _SIGNER_BYTES_MAX:
        errors.append(too_long(path, _SIGNER_BYTES_MAX))
    return errors


def _parts(segment: str, path: str, check: Callable[[str], list[str]]) -> list[FieldError]:
    """The first wrong part between the dots."""
    for part in segment.split("."):
        if texts := check(part):
            return each(path, segment, (f'validating label "{part}": {text}' for text in texts))
    return []
