"""What the image commands share: the registry beside the profiles, names, sizes, logins."""

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

from tiphys.cli.output import CommandError
from tiphys.cluster.profile import Roots
from tiphys.lib.logs import Secret
from tiphys.runtime.images import docker_config, stored_image
from tiphys.runtime.images.distribution import Credentials
from tiphys.runtime.images.http_client import AUTHORITIES
from tiphys.runtime.images.pull import machine
from tiphys.runtime.images.reference import Reference, parse
from tiphys.runtime.images.registry_storage import RegistryStorage
from tiphys.runtime.images.stored_image import StoredImage, familiar


def cache() -> Path:
    """What all profiles share: node_components.registry_directory is below it."""
    return Roots.from_environment(os.environ).state / ".cache"


def storage() -> RegistryStorage:
    return RegistryStorage(str(cache() / "registry"))


def reference(text: str) -> Reference:
    """Raises: CommandError."""
    try:
        return parse(text)
    except ValueError as exc:
        raise CommandError(
            str(exc), fix="a name is [HOST/]PATH[:TAG], for example nb/a:1", reason="IMAGE_NAME"
        ) from exc


def found(registry: RegistryStorage, name: str) -> StoredImage:
    """The image of a name or of the beginning of an id. Raises: CommandError."""
    wanted = reference(name)
    image = None
    try:
        image = stored_image.find(registry, wanted, machine())
    except (OSError, ValueError, KeyError) as exc:
        raise CommandError(
            f"image {familiar(wanted)} is damaged: {exc}",
            fix=f"tiphys image pull {name}",
            reason="IMAGE_DAMAGED",
        ) from exc
    image = image or next((one for _, one in every(registry) if one.id[7:].startswith(name)), None)
    if image is None:
        raise CommandError(
            f"No such image: {familiar(wanted)}", fix="tiphys image ls", reason="IMAGE_NOT_FOUND"
        )
    return image


def every(registry: RegistryStorage) -> Iterator[tuple[Reference, StoredImage]]:
    """Every name with its image; one of another machine's is left out."""
    for name, digest in registry.list():
        try:
            yield name, stored_image.read(registry, digest, machine())
        except (OSError, ValueError, KeyError):
            continue


def size(count: int) -> str:
    """As Docker's."""
    if count >= 1e9:
        return f"{count / 1e9:.2f}GB"
    if count >= 1e6:
        return f"{count / 1e6:.1f}MB"
    return f"{count / 1e3:.1f}kB" if count >= 1e3 else f"{count}B"


def add_registry_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--creds", metavar="USER:PASSWORD", help="instead of docker's login")
    parser.add_argument(
        "--certs-dir",
        default=AUTHORITIES,
        help="directory of HOST[:PORT]/ca.crt (default: %(default)s)",
    )


def credentials(options: argparse.Namespace, host: str) -> Credentials:
    """Raises: CommandError."""
    if options.creds:
        username, _, password = options.creds.partition(":")
        return Credentials(username, Secret(password))
    file = docker_config.path(os.environ)
    try:
        return docker_config.credentials(file, host)
    except (OSError, ValueError) as exc:
        raise CommandError(
            f"cannot read logins from {file}: {exc}", fix="docker login", reason="IMAGE_LOGIN"
        ) from exc
