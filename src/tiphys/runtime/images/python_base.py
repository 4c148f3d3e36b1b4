"""The base image of Python programs: the interpreter that Tiphys itself runs on, on busybox.

Its files are taken as they are: the program, the standard library without tests and editors, the
shared libraries that they need, the machine's certificate authorities. So an image has exactly the
version and ABI that the user tried the program with, and nothing is fetched. Compiled modules come
along with the hash of their source in place of its time (PEP 552), for times in layers are zero.
"""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from typing import Any, Final

from tiphys.runtime.images import bundled, stored_image
from tiphys.runtime.images.bundled import Entry
from tiphys.runtime.images.pull import machine
from tiphys.runtime.images.reference import Reference, parse
from tiphys.runtime.images.registry_storage import RegistryStorage
from tiphys.runtime.images.stored_image import StoredImage

BUSYBOX: Final = "docker.io/library/busybox:latest"
VERSION: Final = f"{sys.version_info.major}.{sys.version_info.minor}"
LIBRARY: Final = f"usr/local/lib/python{VERSION}"
SITE_PACKAGES: Final = f"{LIBRARY}/site-packages"
AUTHORITIES: Final = "etc/ssl/certs/ca-certificates.crt"
LEFT_OUT: Final = (
    *("site-packages", "dist-packages", "test", "tests", "idlelib", "idle_test", "tkinter"),
    *("turtledemo", "ensurepip", "lib2to3", "__phello__"),
)
MODULES_LEFT_OUT: Final = ("_tkinter", "_test", "_xx", "xx", "_ctypes_test")
_TIMESTAMP_HEADER: Final = 16  # Bytes: magic, flags, then time and size, or a hash. PEP 552.
_UNCHECKED_HASH: Final = (1).to_bytes(4, "little")


class InterpreterError(Exception):
    """The interpreter cannot be put into an image; the text says what is missing."""


def ensure(storage: RegistryStorage) -> StoredImage:
    """The image, built when this interpreter's is not there yet. Raises: InterpreterError."""
    reference = name()
    found = stored_image.find(storage, reference, machine())
    if found is not None:
        return found
    base = stored_image.find(storage, parse(BUSYBOX), machine())
    if base is None:
        bundled.build(storage)
        base = stored_image.find(storage, parse(BUSYBOX), machine())
    assert base is not None
    return bundled.fork(storage, base, reference, bundled.layer(entries()), process())


def name() -> Reference:
    """The tag says which interpreter: version, and when its program was built."""
    built = int(os.stat(os.path.realpath(sys.executable)).st_mtime)
    return parse(f"docker.io/tiphys/python:{sys.version.split()[0].rstrip('+')}-{built:x}")


def process() -> dict[str, Any]:
    path = bundled.PATH.removeprefix("PATH=")
    return {
        "Env": [f"PATH={path}", f"SSL_CERT_FILE=/{AUTHORITIES}", "PYTHONUNBUFFERED=1"],
        "Cmd": ["python3"],
    }


def entries() -> dict[str, Entry]:
    """All files of the layer by their places. Raises: InterpreterError."""
    program = os.path.realpath(sys.executable)
    library = os.path.dirname(os.__file__)
    found = dict(_library(library))
    found[f"usr/local/bin/python{VERSION}"] = Entry(_read(program))
    for link in ("python3", "python"):
        found[f"usr/local/bin/{link}"] = Entry(link=f"python{VERSION}")
    directory = os.path.join(library, "lib-dynload")
    modules = [os.path.join(directory, one) for one in os.listdir(directory) if _is_kept(one)]
    for place, path in shared_libraries([program, *modules]).items():
        found[place] = Entry(_read(path))
    if os.path.exists(f"/{AUTHORITIES}"):
        found[AUTHORITIES] = Entry(_read(f"/{AUTHORITIES}"), mode=0o644)
    found[SITE_PACKAGES] = Entry()
    return with_parents(found)


def with_parents(found: Mapping[str, Entry]) -> dict[str, Entry]:
    """Every directory above an entry is an entry, too."""
    whole = dict(found)
    for place in found:
        while place := os.path.dirname(place):
            whole.setdefault(place, Entry())
    return whole


def _library(directory: str) -> Iterable[tuple[str, Entry]]:
    for at, names, files in os.walk(directory):
        names[:] = [one for one in names if one not in LEFT_OUT and not one.startswith("config-")]
        for one in filter(_is_kept, files):
            path = os.path.join(at, one)
            data = hashed(path) if one.endswith(".pyc") else _read(path)
            if data is not None:
                place = os.path.join(LIBRARY, os.path.relpath(path, directory))
                yield place, Entry(data, mode=0o755 if os.access(path, os.X_OK) else 0o644)


def _is_kept(name: str) -> bool:
    return not name.startswith(MODULES_LEFT_OUT)


def hashed(path: str) -> bytes | None:
    """A compiled module that does not ask for its source's time; None for one of another source,
    another optimisation or another interpreter."""
    source = importlib.util.source_from_cache(path) if ".opt-" not in path else ""
    if not os.path.exists(source):
        return None
    compiled, text = _read(path), _read(source)
    magic, flags, when = compiled[:4], compiled[4:8], compiled[8:12]
    fresh = (int(os.stat(source).st_mtime) & 0xFFFFFFFF).to_bytes(4, "little")
    if magic != importlib.util.MAGIC_NUMBER or flags != bytes(4) or when != fresh:
        return None
    proof = importlib.util.source_hash(text)
    return magic + _UNCHECKED_HASH + proof + compiled[_TIMESTAMP_HEADER:]


def shared_libraries(files: list[str]) -> dict[str, str]:
    """What files are linked with: place in the image -> path here. Raises: InterpreterError.

    All go to /usr/lib, where the loader looks without a cache; the loader keeps its own place.
    """
    try:
        done = subprocess.run(["ldd", *files], capture_output=True, text=True, check=False)
    except OSError as exc:
        raise InterpreterError(f"ldd, which names shared libraries, does not run: {exc}") from exc
    found: dict[str, str] = {}
    for line in done.stdout.splitlines():
        words = line.split()
        if "not found" in line:
            raise InterpreterError(f"a shared library of {sys.executable} is missing: {words[0]}")
        if len(words) == 4 and words[1] == "=>":
            found[f"usr/lib/{words[0]}"] = words[2]
        elif len(words) == 2 and words[0].startswith("/") and "ld-" in words[0]:
            found[words[0].lstrip("/")] = words[0]
    return found


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
