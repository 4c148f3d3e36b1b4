"""Image names. Upstream: distribution/reference, pkg/util/parsers, pkg/credentialprovider."""

import re
from typing import Final

_DOMAIN: Final = re.compile(
    r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*"
    r"|\[[a-fA-F0-9:]+\])(?::[0-9]+)?$"
)
_COMPONENT: Final = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$")
_TAG: Final = re.compile(r"\w[\w.-]{0,127}$", re.ASCII)
_DIGEST: Final = re.compile(
    r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}$"
)
NAME_CHARS_MAX: Final = 255


class ImageNameError(ValueError):
    """The name is no image name; the text is upstream's."""


def with_tag(image: str) -> str:
    """The image with `:latest` where it says neither tag nor digest. Raises ImageNameError."""
    rest, at, digest = image.partition("@")
    head, slash, last = rest.rpartition("/")
    last, colon, tag = last.partition(":")
    _check(image, head + slash + last, tag if colon else None, digest if at else None)
    return image if colon or at else f"{image}:latest"


def _check(image: str, name: str, tag: str | None, digest: str | None) -> None:
    parts = name.split("/")
    first = parts[0]
    # Capitals are no repository's: the first part is then taken for a registry.
    has_domain = first == "localhost" or first != first.lower() or any(c in first for c in ".:[")
    if len(parts) > 1 and has_domain:
        domain, path = parts[0], parts[1:]
    else:
        domain, path = "", parts
    joined = "/".join(path)
    if not name or (domain and not _DOMAIN.match(domain)) or not joined:
        raise ImageNameError(_text(image, "invalid reference format"))
    if joined != joined.lower():
        why = f"invalid reference format: repository name ({joined}) must be lowercase"
        raise ImageNameError(_text(image, why))
    if not all(map(_COMPONENT.match, path)):
        raise ImageNameError(_text(image, "invalid reference format"))
    if (tag is not None and not _TAG.match(tag)) or (
        digest is not None and not _DIGEST.match(digest)
    ):
        raise ImageNameError(_text(image, "invalid reference format"))
    if len(joined) > NAME_CHARS_MAX:
        raise ImageNameError(
            _text(image, f"repository name must not be more than {NAME_CHARS_MAX} characters")
        )


def _text(image: str, why: str) -> str:
    return (
        f'Failed to apply default image tag "{image}": couldn\'t parse image name "{image}": {why}'
    )


def pull_policy(container: dict[str, object]) -> str:
    """The container's policy, or the default by its tag."""
    policy = container.get("imagePullPolicy")
    if policy:
        return str(policy)
    image = str(container.get("image", ""))
    last = image.rpartition("/")[2]
    return "Always" if ":" not in last or last.endswith(":latest") else "IfNotPresent"
