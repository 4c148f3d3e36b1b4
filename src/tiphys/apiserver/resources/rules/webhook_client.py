"""Where a webhook is: a URL, or a service with a path.

Upstream: apiserver pkg/util/webhook/validation.go.
"""

from typing import Any, Final
from urllib.parse import urlsplit

from tiphys.api import names
from tiphys.api.field_errors import FieldError, invalid, required
from tiphys.api.meta import Obj
from tiphys.apiserver.resources.rules.texts import each

_URL_FORM: Final = "; desired format: https://host[/path]"
# The callers mix up the two: the one that is missing is told as the other.
_TOLD_AS: Final = {"namespace": "name", "name": "namespace"}


def webhook_client(client: Obj, path: str) -> list[FieldError]:
    url, service = client.get("url"), client.get("service")
    if (url is None) == (service is None):
        return [required(path, "exactly one of url or service is required")]
    if service is not None:
        return _service(service, f"{path}.service")
    return _url(client["url"], f"{path}.url")


def _url(value: str, path: str) -> list[FieldError]:
    try:
        url = urlsplit(value)
    except ValueError as error:
        text = f"url must be a valid URL: {error}{_URL_FORM}"
        return [required(path, text)]
    user, at_sign, host = url.netloc.rpartition("@")
    problems: list[tuple[Any, str]] = []
    if url.scheme != "https":
        problems.append((url.scheme, f"'https' is the only allowed URL scheme{_URL_FORM}"))
    if not host:
        problems.append((host, f"host must be specified{_URL_FORM}"))
    if at_sign:
        problems.append((user, "user information is not permitted in the URL"))
    if url.fragment:
        problems.append((url.fragment, "fragments are not permitted in the URL"))
    if url.query:
        problems.append((url.query, "query parameters are not permitted in the URL"))
    return [invalid(path, shown, text) for shown, text in problems]


def _service(service: Obj, path: str) -> list[FieldError]:
    errors = [required(f"{path}.{told}") for f, told in _TOLD_AS.items() if not service.get(f)]
    texts = names.port_number(service["port"])
    if texts:
        text = "port is not valid: " + ", ".join(texts)
        errors.append(invalid(f"{path}.port", service["port"], text))
    return errors + _service_path(service.get("path", ""), f"{path}.path")


def _service_path(value: str, path: str) -> list[FieldError]:
    if value in {"", "/"}:
        return []
    if value == "//":
        return [invalid(path, value, "segment[0] may not be empty")]
    errors: list[FieldError] = []
    if not value.startswith("/"):
        errors.append(invalid(path, value, "must start with a '/'"))
    for index, segment in enumerate(value[1:].removesuffix("/").split("/")):
        texts = names.dns_subdomain(segment)
        if not segment:
            errors.append(invalid(path, value, f"segment[{index}] may not be empty"))
        else:
            errors += each(path, value, (f"segment[{index}]: {t}" for t in texts))
    return errors
