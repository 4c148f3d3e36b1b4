"""The image of a Python program: base, the packages that it needs, its files."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from tiphys.cli.output import CommandError
from tiphys.cluster.python_app import HOME, App
from tiphys.runtime.build.cache import Made, StepCache, key
from tiphys.runtime.images import bundled, manifest, python_base
from tiphys.runtime.images.bundled import Entry
from tiphys.runtime.images.python_base import InterpreterError
from tiphys.runtime.images.reference import Reference, parse
from tiphys.runtime.images.registry_storage import RegistryStorage
from tiphys.runtime.images.stored_image import Layer, StoredImage

REPOSITORY: Final = "docker.io/tiphys-run"
KEPT_MAX: Final = 3  # Images of one program: for the running revision and going back.
PIP_SECONDS_MAX: Final = 600


def build(storage: RegistryStorage, app: App) -> Reference:
    """The image's name, by its content: the same files give the same name. Raises: CommandError."""
    with storage.writing():
        try:
            base = python_base.ensure(storage)
        except (InterpreterError, OSError, ValueError) as exc:
            raise CommandError(
                f"no image of this Python can be made: {exc}", reason="RUN_IMAGE"
            ) from exc
        if app.needs:
            base = _with_packages(storage, base, app.needs)
        data = bundled.layer(python_base.with_parents(dict(_entries(app))))
        process = {
            "Cmd": list(app.command),
            "WorkingDir": HOME,
            "Env": [*base.process["Env"], f"PYTHONPATH={HOME}:{HOME}/src"],
        }
        made = bundled.fork(storage, base, _name(app, "new"), data, process, "tiphys run")
        reference = _name(app, made.id[7:19])
        storage.tag(reference, made.digest)
        storage.remove_tag(_name(app, "new"))
    _forget_old(storage, reference)
    return reference


def _name(app: App, tag: str) -> Reference:
    return parse(f"{REPOSITORY}/{app.name}:{tag}")


def _entries(app: App) -> list[tuple[str, Entry]]:
    found = []
    for one in app.files:
        path = app.root / one
        mode = 0o755 if os.access(path, os.X_OK) else 0o644
        found.append((f"{HOME[1:]}/{one}", Entry(path.read_bytes(), mode=mode)))
    return found


def _with_packages(
    storage: RegistryStorage, base: StoredImage, needs: tuple[str, ...]
) -> StoredImage:
    """The packages are installed once for each list of them. Raises: CommandError."""
    cache = StepCache(str(Path(storage.directory).parent / "build" / "steps"))
    step = key([layer.diff_id for layer in base.layers], "pip install", {"needs": list(needs)})
    made = cache.find(step)
    if made is None or made.layer is None or not storage.has_blob(made.layer.digest):
        data = bundled.layer(python_base.with_parents(_packages(needs)))
        digest = storage.put_blob(data)
        made = Made(bundled.CREATED, Layer(manifest.LAYER_TAR, digest, len(data), digest))
        cache.save(step, made)
    assert made.layer is not None
    with storage.open_blob(made.layer.digest) as file:
        name = parse(f"docker.io/tiphys/python-packages:{step[:12]}")
        return bundled.fork(storage, base, name, file.read(), {}, f"pip install {' '.join(needs)}")


def _packages(needs: tuple[str, ...]) -> dict[str, Entry]:
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", directory]
        flags = ["--disable-pip-version-check", "--no-compile", "--no-input"]
        done = subprocess.run(
            [*command, *flags, *needs],
            capture_output=True,
            text=True,
            timeout=PIP_SECONDS_MAX,
            check=False,
        )
        if done.returncode != 0:
            why = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
            raise CommandError(
                f"pip cannot install {' '.join(needs)}: {' '.join(why)}",
                fix="correct the dependencies, or the way to the package index",
                reason="RUN_PACKAGES",
            )
        found: dict[str, Entry] = {}
        for at, _, files in os.walk(directory):
            for one in files:
                path = os.path.join(at, one)
                place = os.path.relpath(path, directory)
                mode = 0o755 if os.access(path, os.X_OK) else 0o644
                data = Path(path).read_bytes()
                found[f"{python_base.SITE_PACKAGES}/{place}"] = Entry(data, mode=mode)
        return found


def _forget_old(storage: RegistryStorage, current: Reference) -> None:
    """Keep the newest names; `tiphys image prune` frees what they led to."""
    tags = [tag for tag in storage.tags(current.repository) if tag != current.tag]
    times = {tag: storage.tagged_at(parse(f"{current.repository}:{tag}")) for tag in tags}
    for tag in sorted(tags, key=times.__getitem__, reverse=True)[KEPT_MAX - 1 :]:
        storage.remove_tag(parse(f"{current.repository}:{tag}"))
