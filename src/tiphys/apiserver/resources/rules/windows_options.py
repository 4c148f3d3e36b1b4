"""Windows' part of security contexts.

Upstream: pkg/apis/core/validation/validation.go (validateWindowsSecurityContextOptions).
"""

import re
from typing import Final

from tiphys.api import names
from tiphys.api.field_errors import FieldError, invalid
from tiphys.api.meta import Obj
from tiphys.apiserver.resources.rules.texts import each

_SPEC_KIB_MAX: Final = 64
_DOMAIN_MAX: Final = 256
_USER_MAX: Final = 104
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_NET_BIOS: Final = re.compile(r'[^\\/:*?"<>|.][^\\/:*?"<>|]{0,14}')
_DNS_LABEL: Final = "[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_DNS: Final = re.compile(rf"{_DNS_LABEL}(?:\.{_DNS_LABEL})*")
_FORBIDDEN: Final = re.compile(r'["/\\:;|=,+*?<>@\[\]]')


def windows_options(options: Obj | None, path: str) -> list[FieldError]:
    if options is None:
        return []
    errors: list[FieldError] = []
    name, spec = options.get("gmsaCredentialSpecName"), options.get("gmsaCredentialSpec")
    if name is not None:
        errors += each(f"{path}.gmsaCredentialSpecName", name, names.dns_subdomain(name))
    where = f"{path}.gmsaCredentialSpec"
    if spec == "":
        errors.append(invalid(where, spec, "gmsaCredentialSpec cannot be an empty string"))
    elif spec is not None and len(spec.encode()) > _SPEC_KIB_MAX * 1024:
        text = f"gmsaCredentialSpec size must be under {_SPEC_KIB_MAX} KiB"
        errors.append(invalid(where, spec, text))
    user = options.get("runAsUserName")
    if user is not None:
        errors += [invalid(f"{path}.runAsUserName", user, text) for text in _user_name(user)]
    return errors


def _user_name(value: str) -> list[str]:
    """What is wrong with USER or DOMAIN\\USER."""
    if not value:
        return ["runAsUserName cannot be an empty string"]
    if _CONTROL.search(value):
        return ["runAsUserName cannot contain control characters"]
    parts = value.split("\\")
    if len(parts) > 2:
        return ["runAsUserName cannot contain more than one backslash"]
    user = parts[-1]
    texts = _domain(parts[0]) if len(parts) == 2 else []
    if not user:
        texts.append("runAsUserName's User cannot be empty")
    elif len(user) > _USER_MAX:
        text = f"runAsUserName's User length must not be longer than {_USER_MAX} characters"
        texts.append(text)
    if user and not user.strip(". "):
        texts.append("runAsUserName's User cannot contain only periods or spaces")
    if _FORBIDDEN.search(user):
        text = "runAsUserName's User cannot contain the following characters: \"/\\:;|=,+*?<>@[]"
        texts.append(text)
    return texts


def _domain(domain: str) -> list[str]:
    texts = []
    if len(domain) >= _DOMAIN_MAX:
        texts.append(f"runAsUserName's Domain length must be under {_DOMAIN_MAX} characters")
    if not _DNS.fullmatch(domain) and not _NET_BIOS.fullmatch(domain):
        texts.append("runAsUserName's Domain doesn't match the NetBios nor the DNS format")
    return texts
