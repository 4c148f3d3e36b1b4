"""Validation of CertificateSigningRequests. Upstream: pkg/apis/certificates/validation."""

import base64
from typing import Final

from tiphys.api import names
from tiphys.api.field_errors import FieldError, invalid, required
from tiphys.api.meta import Obj
from tiphys.apiserver.resources.rules.texts import each, unsupported

_USAGES: Final = (
    "any", "cert sign", "client auth", "code signing", "content commitment", "crl sign",
    "data encipherment", "decipher only", "digital signature", "email protection",
    "encipher only", "ipsec end system", "ipsec tunnel", "ipsec user", "key agreement",
    "key encipherment", "microsoft sgc", "netscape sgc", "ocsp signing", "s/mime", "server auth",
    "signing", "timestamping",
)  # fmt: skip
_SECONDS_MIN: Final = 600
_BEGIN: Final = b"-----BEGIN CERTIFICATE REQUEST-----"


def validate(request: Obj) -> list[FieldError]:
    spec = request["spec"]
    errors: list[FieldError] = []
    pem = spec.get("request")
    if _BEGIN not in base64.b64decode(pem or ""):
        text = "PEM block type must be CERTIFICATE REQUEST"
        errors.append(invalid("spec.request", pem, text))
    usages = spec.get("usages") or []
    if not usages:
        errors.append(required("spec.usages"))
    for index, usage in enumerate(usages):
        if usage not in _USAGES:
            errors.append(unsupported(f"spec.usages[{index}]", usage, _USAGES))
        if usage in usages[:index]:
            errors.append(FieldError("FieldValueDuplicate", f"spec.usages[{index}]", usage))
    errors += _signer(spec.get("signerName", ""), "spec.signerName")
    seconds = spec.get("expirationSeconds")
    if seconds is not None and seconds < _SECONDS_MIN:
        text = "may not specify a duration less than 600 seconds (10 minutes)"
        errors.append(invalid("spec.expirationSeconds", seconds, text))
    return errors


def _signer(name: str, path: str) -> list[FieldError]:
    if not name:
        return [required(path)]
    host, slash, rest = name.partition("/")
    if not slash or "/" in rest:
        text = "must be a fully qualified domain and path of the form 'example.com/signer-name'"
        return [invalid(path, name, text)]
    errors = each(path, host, names.dns_subdomain(host))
    errors += each(path, rest, names.dns_subdomain(rest))
    if "." not in host:
        text = "should be a domain with at least two segments separated by dots"
        errors.append(invalid(path, host, text))
    return errors
