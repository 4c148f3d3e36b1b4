"""The cloud configuration file of Libcloud: which drivers, and where their credentials are.

compute:                      # machines
  driver: gce                 # a name of libcloud.compute.types.Provider
  credentialsFile: gce.yaml   # the driver's arguments that are secret, as YAML; mode 0600
  options: {project: mine}    # the others
loadBalancer: {driver: gce, credentialsFile: gce.yaml}
routes: true                  # the compute driver makes routes (Google's does)
"""

import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from tiphys.lib.logs import Secret

_PARTS: Final = ("compute", "loadBalancer")
_KEYS: Final = frozenset({*_PARTS, "routes"})
_DRIVER_KEYS: Final = frozenset({"driver", "credentialsFile", "options"})


class CloudConfigError(Exception):
    """The file cannot be used: which, and what is wrong with it. Never holds a secret."""


@dataclass(frozen=True, slots=True)
class DriverConfig:
    driver: str
    options: Mapping[str, Any] = field(default_factory=dict)
    credentials: Mapping[str, Secret] = field(default_factory=dict)

    def arguments(self) -> dict[str, Any]:
        """For the driver's constructor: secrets in the clear."""
        return {**self.options, **{k: str(v) for k, v in self.credentials.items()}}


@dataclass(frozen=True, slots=True)
class LibcloudConfig:
    compute: DriverConfig | None
    load_balancer: DriverConfig | None
    routes: bool = False


def load(path: Path) -> LibcloudConfig:
    """Raises CloudConfigError."""
    document = _mapping(path)
    unknown = document.keys() - _KEYS
    if unknown:
        raise CloudConfigError(f"{path}: unknown field {min(unknown)} (known: {sorted(_KEYS)})")
    parts = {name: _driver(path, name, document.get(name)) for name in _PARTS}
    if not any(parts.values()):
        raise CloudConfigError(f"{path}: names neither compute nor loadBalancer")
    routes = document.get("routes", False)
    if not isinstance(routes, bool) or (routes and parts["compute"] is None):
        raise CloudConfigError(f"{path}: routes is true or false, and true with compute only")
    return LibcloudConfig(parts["compute"], parts["loadBalancer"], routes)


def _driver(path: Path, part: str, found: Any) -> DriverConfig | None:
    if found is None:
        return None
    if not isinstance(found, dict) or not isinstance(found.get("driver"), str):
        raise CloudConfigError(f"{path}: {part}.driver is missing")
    unknown = found.keys() - _DRIVER_KEYS
    if unknown:
        raise CloudConfigError(f"{path}: unknown field {part}.{min(unknown)}")
    options = found.get("options") or {}
    if not isinstance(options, dict):
        raise CloudConfigError(f"{path}: {part}.options is no mapping")
    name = found.get("credentialsFile")
    credentials = _credentials(path.parent / name) if name else {}
    return DriverConfig(found["driver"], options, credentials)


def _credentials(path: Path) -> dict[str, Secret]:
    document = _mapping(path)
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise CloudConfigError(f"{path}: others can read it: chmod 600 {path}")
    return {str(k): Secret(str(v)) for k, v in document.items()}


def _mapping(path: Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load(path.read_text())
    except OSError as exc:
        raise CloudConfigError(f"{path}: {exc.strerror}") from exc
    except yaml.YAMLError:
        raise CloudConfigError(f"{path}: is no YAML") from None  # Its text may be a secret.
    if not isinstance(found, dict):
        raise CloudConfigError(f"{path}: is no mapping")
    return found
