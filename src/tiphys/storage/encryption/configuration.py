"""EncryptionConfiguration: which resources are sealed, by whom.

Upstream: apiserver pkg/server/options/encryptionconfig, apiserver.config.k8s.io/v1.
"""

import base64
import binascii
import re
from collections.abc import Sequence
from pathlib import Path
from secrets import token_bytes
from typing import Any, Final

import yaml

from tiphys.api.resources import RESOURCES
from tiphys.storage.encryption.providers import (
    AES_KEY_BYTES,
    SEALERS,
    IdentityProvider,
    Key,
    KeyedProvider,
    Provider,
    Random,
    Transformer,
)
from tiphys.storage.store import ROOT

API_VERSION: Final = "apiserver.config.k8s.io/v1"
KIND: Final = "EncryptionConfiguration"
CORE: Final = frozenset(info.plural for info in RESOURCES if not info.group)
_PATTERN: Final = re.compile(r"[a-z0-9-]+(\.[a-z0-9.-]+)?|\*\.(\*|[a-z0-9.-]*)")


class EncryptionConfigError(Exception):
    """The file cannot be used: where in it, and why."""


def load(path: Path, random: Random = token_bytes) -> "EncryptionConfig":
    """random: bytes that nobody can guess. Raises EncryptionConfigError, OSError."""
    try:
        return parse(yaml.safe_load(path.read_bytes()), random)
    except (EncryptionConfigError, yaml.YAMLError) as error:
        raise EncryptionConfigError(f"{path}: {error}") from error


class EncryptionConfig:
    """Transformers by resource (`secrets`, `deployments.apps`, `*.apps`, `*.`, `*.*`), in order."""

    def __init__(self, transformers: Sequence[tuple[str, Transformer]]) -> None:
        self._transformers = tuple(transformers)
        self._known: dict[str, Transformer | None] = {}

    def transformer_of(self, key: str) -> Transformer | None:
        """Of a key of the store; None for what is stored as it is."""
        resource = resource_of(key)
        if resource not in self._known:
            self._known[resource] = next(
                (t for pattern, t in self._transformers if _matches(pattern, resource)), None
            )
        return self._known[resource]


def resource_of(key: str) -> str:
    """`/registry/secrets/...` is `secrets`, `/registry/apps/deployments/...` `deployments.apps`."""
    if not key.startswith(ROOT):
        return ""
    first, _, rest = key[len(ROOT) :].partition("/")
    return first if first in CORE else f"{rest.partition('/')[0]}.{first}"


def parse(document: Any, random: Random) -> EncryptionConfig:
    """Raises EncryptionConfigError."""
    _only(document, "", {"apiVersion", "kind", "resources"})
    if (document.get("apiVersion"), document.get("kind")) != (API_VERSION, KIND):
        raise EncryptionConfigError(f"apiVersion {API_VERSION} and kind {KIND} are wanted")
    found: list[tuple[str, Transformer]] = []
    for index, entry in enumerate(_list(document, "resources")):
        path = f"resources[{index}]"
        _only(entry, path, {"resources", "providers"})
        providers = [
            _provider(provider, f"{path}.providers[{number}]", random)
            for number, provider in enumerate(_list(entry, "providers", path))
        ]
        transformer = Transformer(providers)
        for name in _list(entry, "resources", path):
            if not isinstance(name, str) or not _PATTERN.fullmatch(name):
                raise EncryptionConfigError(
                    f'{path}.resources: {name!r} is no resource: "secrets", "jobs.batch", '
                    '"*.apps", "*." or "*.*" are'
                )
            found.append((name, transformer))
    return EncryptionConfig(found)


def _matches(pattern: str, resource: str) -> bool:
    if pattern in ("*.*", resource):
        return bool(resource)
    if pattern == "*.":
        return bool(resource) and "." not in resource
    return pattern.startswith("*.") and resource.partition(".")[2] == pattern[2:]


def _provider(value: Any, path: str, random: Random) -> Provider:
    if not isinstance(value, dict) or len(value) != 1:
        raise EncryptionConfigError(f"{path}: one provider is wanted")
    ((kind, settings),) = value.items()
    if kind == "identity":
        return IdentityProvider()
    if kind not in SEALERS:
        raise EncryptionConfigError(
            f"{path}: there is no provider {kind!r} here; there are {', '.join(SEALERS)}, identity"
        )
    path = f"{path}.{kind}"
    _only(settings, path, {"keys"})
    keys: list[Key] = []
    for number, entry in enumerate(_list(settings, "keys", path)):
        keys.append(_key(entry, f"{path}.keys[{number}]"))
        if any(key.name == keys[-1].name for key in keys[:-1]):
            raise EncryptionConfigError(f"{path}.keys[{number}].name is there twice")
    return KeyedProvider(kind, keys, random)


def _key(entry: Any, path: str) -> Key:
    """The secret itself is in no message."""
    _only(entry, path, {"name", "secret"})
    name = entry.get("name")
    if not isinstance(name, str) or not name or ":" in name:
        raise EncryptionConfigError(f"{path}.name: a name without a colon is wanted")
    try:
        secret = base64.b64decode(str(entry.get("secret", "")), validate=True)
    except binascii.Error:
        raise EncryptionConfigError(f"{path}.secret is not base64") from None
    if len(secret) not in AES_KEY_BYTES:
        sizes = ", ".join(map(str, AES_KEY_BYTES))
        raise EncryptionConfigError(
            f"{path}.secret has {len(secret)} bytes, and AES keys have {sizes}"
        )
    return Key(name, secret)


def _list(value: Any, field: str, path: str = "") -> list[Any]:
    where = f"{path}.{field}" if path else field
    found = value.get(field)
    if not isinstance(found, list) or not found:
        raise EncryptionConfigError(f"{where}: a list is wanted, and not an empty one")
    return found


def _only(value: Any, path: str, known: set[str]) -> None:
    if not isinstance(value, dict):
        raise EncryptionConfigError(f"{path or 'the file'}: fields are wanted")
    unknown = sorted(map(str, value.keys() - known))
    if unknown:
        raise EncryptionConfigError(f"{path + '.' if path else ''}{unknown[0]} is not known here")
