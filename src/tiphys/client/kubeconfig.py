"""Kubeconfig files: reading, and adding or removing a context of ours without losing others'.

Upstream: client-go tools/clientcmd. Relative paths in a file are relative to the file.
"""

import base64
import json
import os
import ssl
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tiphys.api.meta import Obj
from tiphys.client import kubeconfig_file
from tiphys.lib.logs import Secret
from tiphys.lib.tls_trust import trusting

_SECTIONS: Final = ("clusters", "users", "contexts")


class KubeconfigError(Exception):
    """The file cannot be used: which, why, and what to do."""


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach a cluster as somebody: what one context of a kubeconfig says."""

    server: str
    ca_data: bytes = b""
    client_certificate: bytes = b""
    client_key: bytes = b""
    token: Secret | None = None
    namespace: str = "default"
    insecure: bool = False
    tls_server_name: str | None = None
    context: str = ""
    # Where certificate and key are in files of their own, which may be renewed.
    certificate_files: tuple[Path, Path] | None = None

    def tls(self) -> ssl.SSLContext:
        """A context that verifies the server against the cluster's authority only."""
        if self.ca_data and not self.insecure:
            context = trusting(self.ca_data)
        else:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            if self.insecure:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            else:
                context.load_default_certs()
        if self.client_certificate:
            # ssl reads certificates only from files; this one is gone before we return.
            with tempfile.NamedTemporaryFile() as pem:
                pem.write(self.client_certificate + b"\n" + self.client_key)
                pem.flush()
                context.load_cert_chain(pem.name)
        return context


def default_path(environ: Mapping[str, str]) -> Path:
    """The first file of $KUBECONFIG, else ~/.kube/config."""
    first = next((p for p in environ.get("KUBECONFIG", "").split(os.pathsep) if p), None)
    if first:
        return Path(first)
    return Path(environ.get("HOME") or "/root") / ".kube" / "config"


def read(path: Path) -> Obj:
    """The file's content. Raises KubeconfigError."""
    try:
        text = path.read_text()
    except OSError as exc:
        raise KubeconfigError(f"cannot read kubeconfig {path}: {exc.strerror}") from exc
    loaded = _parsed(path, text)
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise KubeconfigError(f"kubeconfig {path} is not a mapping")
    return loaded


def _parsed(path: Path, text: str) -> Any:
    """Our own files are JSON, which is YAML too: they are read without importing a YAML parser."""
    if text.startswith("{"):
        try:
            return json.loads(text)
        except ValueError:
            pass
    import yaml

    try:
        return yaml.load(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError as exc:
        raise KubeconfigError(f"kubeconfig {path} is not YAML: {exc}") from exc


def load(path: Path, context: str | None = None) -> Access:
    """What the (current) context of a file says. Raises KubeconfigError."""
    config = read(path)
    name = context or config.get("current-context") or ""
    if not name:
        raise KubeconfigError(f"kubeconfig {path} has no current context: name one")
    chosen = _named(config, "contexts", "context", name, path)
    cluster = _named(config, "clusters", "cluster", chosen.get("cluster", ""), path)
    user = _named(config, "users", "user", chosen.get("user", ""), path)
    token = user.get("token") or _read_file(path, user.get("tokenFile"))
    return Access(
        server=cluster.get("server", ""),
        ca_data=_data(path, cluster, "certificate-authority"),
        client_certificate=_data(path, user, "client-certificate"),
        client_key=_data(path, user, "client-key"),
        token=Secret(token.strip()) if token else None,
        namespace=chosen.get("namespace") or "default",
        insecure=bool(cluster.get("insecure-skip-tls-verify")),
        tls_server_name=cluster.get("tls-server-name"),
        context=name,
        certificate_files=_certificate_files(path, user),
    )


def set_context(path: Path, name: str, cluster: Obj, user: Obj, *, make_current: bool) -> None:
    """Add or replace cluster, user and context `name`; everything else stays as it is.

    Raises KubeconfigError, OSError.
    """
    owner = kubeconfig_file.owner_of(path, os.environ, kubeconfig_file.home_of)
    with kubeconfig_file.locked(path, owner):
        config = read(path) if path.exists() else {}
        config.setdefault("apiVersion", "v1")
        config.setdefault("kind", "Config")
        config.setdefault("preferences", {})
        _put(config, "clusters", name, {"cluster": cluster})
        _put(config, "users", name, {"user": user})
        _put(config, "contexts", name, {"context": {"cluster": name, "user": name}})
        if make_current:
            config["current-context"] = name
        config.setdefault("current-context", "")
        kubeconfig_file.write(path, _text(config), owner)


def remove_context(path: Path, name: str) -> None:
    """Remove what `set_context` added; a file without it is left alone.

    Raises KubeconfigError, OSError.
    """
    if not path.exists():
        return
    owner = kubeconfig_file.owner_of(path, os.environ, kubeconfig_file.home_of)
    with kubeconfig_file.locked(path, owner):
        config = read(path)
        if not _without(config, name):
            return
        left = any(config[section] for section in _SECTIONS)
        if left:
            kubeconfig_file.write(path, _text(config), owner)
        else:
            # Nothing is left in it: it was ours, and so was its folder if that is empty now.
            path.resolve().unlink()
    if not left:
        with suppress(OSError):
            path.parent.rmdir()


def _without(config: Obj, name: str) -> bool:
    """Take `name` out of a config; whether it was in it."""
    found = config.get("current-context") == name
    if found:
        config["current-context"] = ""
    for section in _SECTIONS:
        before = config.get(section) or []
        config[section] = [e for e in before if e.get("name") != name]
        found = found or len(config[section]) != len(before)
    return found


def document(name: str, cluster: Obj, user: Obj) -> bytes:
    """A whole kubeconfig of one context, as bytes."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }
    return json.dumps(config, indent=2).encode()


def _put(config: Obj, section: str, name: str, entry: Obj) -> None:
    entries = [e for e in config.get(section) or [] if e.get("name") != name]
    config[section] = [*entries, {"name": name, **entry}]


def _text(config: Obj) -> str:
    import yaml

    text: str = yaml.dump(config, Dumper=yaml.CSafeDumper, sort_keys=False)
    return text


def _named(config: Obj, section: str, inner: str, name: str, path: Path) -> Obj:
    for entry in config.get(section) or []:
        if entry.get("name") == name:
            found: Obj = entry.get(inner) or {}
            return found
    raise KubeconfigError(f'kubeconfig {path} has no {inner} "{name}"')


def _data(path: Path, section: Obj, name: str) -> bytes:
    if inline := section.get(f"{name}-data"):
        try:
            return base64.b64decode(inline, validate=True)
        except ValueError as exc:
            raise KubeconfigError(f"kubeconfig {path}: {name}-data is not base64") from exc
    return (_read_file(path, section.get(name)) or "").encode()


def _certificate_files(config_path: Path, user: Obj) -> tuple[Path, Path] | None:
    if user.get("client-certificate-data") or not user.get("client-certificate"):
        return None
    folder = config_path.parent
    return folder / user["client-certificate"], folder / user.get("client-key", "")


def _read_file(config_path: Path, name: str | None) -> str | None:
    if not name:
        return None
    try:
        return (config_path.parent / name).read_text()
    except OSError as exc:
        raise KubeconfigError(f"kubeconfig {config_path} names {name}: {exc.strerror}") from exc
