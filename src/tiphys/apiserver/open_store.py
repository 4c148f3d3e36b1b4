"""Which store the API server has: etcd where endpoints are given, a file of its own otherwise."""

from typing import TYPE_CHECKING

from tiphys.apiserver.config import ApiServerConfig
from tiphys.lib.clock import Clock
from tiphys.storage.backend import Backend, StorageError
from tiphys.storage.sqlite import SqliteBackend

if TYPE_CHECKING:
    from tiphys.storage.encryption.backend import EncryptingBackend
    from tiphys.storage.etcd.backend import EtcdBackend


async def open_store(config: ApiServerConfig, clock: Clock) -> "SqliteBackend | EtcdBackend":
    """Raises StorageError when it cannot be opened, or no etcd member answers."""
    if not config.etcd_endpoints:
        config.store_path.parent.mkdir(parents=True, exist_ok=True)
        return await SqliteBackend.open(config.store_path, clock)
    # A gRPC stack that a cluster with a file as its store should not carry in its memory.
    from tiphys.storage.etcd.backend import EtcdBackend
    from tiphys.storage.etcd.client import tls_context

    files = (config.etcd_ca, config.etcd_cert, config.etcd_key)
    paths = [str(path) for path in files if path is not None]
    tls = tls_context(*paths) if len(paths) == len(files) else None
    return await EtcdBackend.open(config.etcd_endpoints, tls, clock)


def encrypting(config: ApiServerConfig, backend: Backend) -> "EncryptingBackend | None":
    """The store behind encryption, where that is configured.

    Raises StorageError for a configuration that cannot be used.
    """
    if config.encryption_config is None:
        return None
    from tiphys.storage.encryption.backend import EncryptingBackend
    from tiphys.storage.encryption.configuration import EncryptionConfigError, load

    try:
        return EncryptingBackend(backend, load(config.encryption_config))
    except (EncryptionConfigError, OSError) as error:
        raise StorageError(f"the encryption configuration cannot be used: {error}") from error
