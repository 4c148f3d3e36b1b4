"""A profile: one cluster's name, directories and choices, in one file.

/var/lib/tiphys/<profile>/profile.json   choices, with the format's version
/var/lib/tiphys/<profile>/pki, store, nodes/<node>, logs, kubeconfigs
/run/tiphys/<profile>                    sockets, namespaces, the list of processes
"""

import json
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

from tiphys.cli.output import CommandError

FORMAT_VERSION: Final = 1  # Raised when an older tiphys could not read what we write.
DEFAULT_NAME: Final = "tiphys"
_KEPT: Final = ("pki", "store", "kubeconfigs", "nodes")  # What only a chosen profile has.
_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")


class ProfileError(CommandError):
    """A profile cannot be used: which, why, and what to do."""


@dataclass(frozen=True, slots=True)
class Roots:
    """Where all profiles live. Tests and users without root choose others."""

    state: Path
    run: Path

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        """$TIPHYS_HOME holds both; else the usual places of root, or of the user."""
        if home := environ.get("TIPHYS_HOME"):
            base = Path(home).absolute()
            return cls(base / "state", base / "run")
        if os.geteuid() == 0:
            return cls(Path("/var/lib/tiphys"), Path("/run/tiphys"))
        base = Path(environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "tiphys"
        return cls(base / "state", base / "run")


WORKER: Final = "worker"
MASTER: Final = "control-plane"  # Upstream's name of the role.
MASTER_PORT: Final = 6443  # Of an API server on a machine of its own.


@dataclass(frozen=True, slots=True)
class Node:
    """A machine of the profile: a set of namespaces with its own address."""

    name: str
    address: str
    stopped: bool = False  # Switched off by `tiphys node stop`.
    role: str = WORKER


@dataclass(frozen=True, slots=True)
class Profile:
    name: str
    roots: Roots
    api_port: int
    node_cidr: str
    pod_cidr: str
    service_cidr: str
    load_balancer_pool: str
    nodes: tuple[Node, ...] = ()
    overlay: str = "auto"  # How nodes reach each other's pods: network.plan.Overlay.
    proxy_mode: str = "nftables"  # One of tiphys.proxy.config.MODES.
    version: int = FORMAT_VERSION
    # The kubeconfig files that have the profile's context, whatever $KUBECONFIG says later.
    context_files: tuple[str, ...] = ()

    cpus: int = 0  # Of each machine, as much as its pods may have; 0: all there are.
    memory_bytes: int = 0  # The same.
    ports: tuple[str, ...] = ()  # published_ports.parse
    extra_config: tuple[str, ...] = ()  # extra_config.OPTIONS

    # This machine's address for other machines; its node then uses the machine's own network.
    listen: str = ""
    ingress: str = ""  # Of the addon: its data plane, or off (tiphys.ingress.config.DATA_PLANES).
    joined_server: str = ""  # The API server of the cluster that this machine has joined.
    cloud_provider: str = "local"  # One of tiphys.cloud.config.PROVIDERS.
    cloud_config: str = ""  # The provider's configuration file.
    external_cloud: bool = False  # Whether it tells of machines: kubelets wait for it then.
    load_balancer: bool = True  # Whether Services of type LoadBalancer get addresses.

    @property
    def is_joined(self) -> bool:
        """Whether the control plane is on another machine."""
        return bool(self.joined_server)

    @property
    def uses_host_network(self) -> bool:
        """Whether the node is the machine itself, and no namespace of its own."""
        return bool(self.listen or self.joined_server)

    @property
    def has_pods(self) -> bool:
        """Whether the cluster has nodes, here or, later, on other machines."""
        return bool(self.nodes or self.listen)

    @property
    def directory(self) -> Path:
        return self.roots.state / self.name

    @property
    def run_directory(self) -> Path:
        return self.roots.run / self.name

    @property
    def zygote_socket(self) -> Path:
        """Where shims are forked for all nodes."""
        return self.run_directory / "zygote.sock"

    @property
    def pki(self) -> Path:
        return self.directory / "pki"

    @property
    def kubeconfigs(self) -> Path:
        return self.directory / "kubeconfigs"

    @property
    def logs(self) -> Path:
        return self.directory / "logs"

    @property
    def log_store(self) -> Path:
        """What containers wrote, also those that are gone."""
        return self.directory / "logstore"

    @property
    def audit_logs(self) -> Path:
        """What API servers noted of requests: a file for each, and those before it."""
        return self.directory / "audit"

    @property
    def audit_policy(self) -> Path:
        """No such file: nothing is audited."""
        return self.directory / "audit-policy.yaml"

    @property
    def encryption_config(self) -> Path:
        """No such file: the store holds all values as they are."""
        return self.directory / "encryption-config.yaml"

    @property
    def log_outputs(self) -> Path:
        """Who gets the lines of the cluster's log too: tiphys.logstore.outputs.config."""
        return self.directory / "log-outputs.yaml"

    @property
    def cache(self) -> Path:
        """Shared by all profiles: bundled images."""
        return self.roots.state / ".cache"

    @property
    def running_nodes(self) -> list[Node]:
        return [node for node in self.nodes if not node.stopped]

    @property
    def masters(self) -> list[Node]:
        """Machines of the control plane; none: it runs on the host, beside the nodes."""
        return [node for node in self.nodes if node.role == MASTER]

    @property
    def gateway(self) -> str:
        """The host's address on the node network; 127.0.0.1 without nodes."""
        if self.listen:
            return self.listen
        return _address(self.node_cidr, 1) if self.nodes else "127.0.0.1"

    @property
    def kubernetes_service(self) -> str:
        return _address(self.service_cidr, 1)

    @property
    def dns_service(self) -> str:
        return _address(self.service_cidr, 10)

    @property
    def server(self) -> str:
        return self.joined_server or f"https://{self.gateway}:{self.api_port}"

    def node_directory(self, node: Node) -> Path:
        return self.directory / "nodes" / node.name

    def node_run_directory(self, node: Node) -> Path:
        return self.run_directory / node.name

    def save(self) -> None:
        """Atomic, so that a crash leaves the old choices or the new ones."""
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o711)
        data = asdict(self)
        del data["roots"]
        fd, temporary = tempfile.mkstemp(dir=self.directory, prefix=".profile")
        with os.fdopen(fd, "w") as file:
            json.dump(data, file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(self.directory / "profile.json")


def _address(cidr: str, offset: int) -> str:
    from ipaddress import IPv4Network

    return str(IPv4Network(cidr)[offset])


def check_name(name: str) -> str:
    """Names become parts of paths, links and host names. Raises ProfileError."""
    if not _NAME.fullmatch(name):
        raise ProfileError(
            f'profile name "{name}" is not usable: at most 40 lower-case letters, digits and "-", '
            'beginning and ending with a letter or digit (for example "dev-1")',
            reason="PROFILE_NAME",
        )
    return name


def load(roots: Roots, name: str) -> Profile | None:
    """The stored profile, or None. Raises ProfileError when it cannot be read."""
    path = roots.state / check_name(name) / "profile.json"
    try:
        data: Any = json.loads(path.read_text())
    except FileNotFoundError as exc:
        if any((path.parent / kept).exists() for kept in _KEPT):
            raise damaged(name, path, "it is gone, other files are there") from exc
        return None
    except (OSError, ValueError) as exc:
        raise damaged(name, path, exc) from exc
    if not isinstance(data, dict):
        raise damaged(name, path, "it holds no choices")
    if data.get("version") != FORMAT_VERSION:
        raise ProfileError(
            f'profile "{name}" has format {data.get("version")}, this tiphys reads '
            f"{FORMAT_VERSION}: use the tiphys that made it, or `tiphys delete -p {name}`",
            reason="PROFILE_FORMAT",
        )
    try:
        return _parsed(roots, data)
    except (KeyError, TypeError, ValueError) as exc:
        raise damaged(name, path, exc) from exc


def _parsed(roots: Roots, data: dict[str, Any]) -> Profile:
    """Raises KeyError, TypeError, ValueError when a part is missing or of another kind."""
    nodes = tuple(Node(**n) for n in data.pop("nodes"))
    files = tuple(data.pop("context_files", ()))
    known = {name: data[name] for name in Profile.__dataclass_fields__ if name in data}
    known |= {name: tuple(known.get(name, ())) for name in ("ports", "extra_config")}
    profile = Profile(roots=roots, nodes=nodes, context_files=files, **known)
    for cidr in (profile.node_cidr, profile.pod_cidr, profile.service_cidr):
        _address(cidr, 1)
    for words in (profile.name, profile.load_balancer_pool, profile.overlay, profile.listen):
        if not isinstance(words, str):
            raise TypeError(f"{words!r} is no text")
    if not isinstance(profile.api_port, int) or not 0 <= profile.api_port < 1 << 16:
        raise ValueError(f"{profile.api_port!r} is no port")
    return profile


def damaged(name: str, path: Path, exc: object) -> ProfileError:
    """The error for a file without which the profile cannot be."""
    return ProfileError(
        f'profile "{name}" is damaged ({path}: {exc}): '
        f"`tiphys delete -p {name}` removes what is left of it",
        fix=f"tiphys delete -p {name}",
        reason="PROFILE_DAMAGED",
    )


def names(roots: Roots) -> list[str]:
    """Every profile that has a directory."""
    if not roots.state.is_dir():
        return []
    return sorted(p.name for p in roots.state.iterdir() if _NAME.fullmatch(p.name))
