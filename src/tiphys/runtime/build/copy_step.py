"""COPY and ADD as steps: what their words mean, what the cache must know of them, their layer."""

import os
import posixpath
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from tiphys.runtime.build import copying, image_config
from tiphys.runtime.build.copying import Copy, CopyError
from tiphys.runtime.build.dockerfile import Instruction, is_heredoc
from tiphys.runtime.build.layer_store import LayerStore
from tiphys.runtime.build.source_tree import SourceTree
from tiphys.runtime.build.state import State
from tiphys.runtime.build.words import expand
from tiphys.runtime.images.stored_image import Layer
from tiphys.runtime.oci import users
from tiphys.runtime.oci.rootfs import Rootfs

FLAGS: Final = ("from", "chown", "chmod", "link")
USER_FILE_BYTES_MAX: Final = 4 << 20
MODE_MAX: Final = 0o7777


@dataclass(frozen=True)
class Planned:
    """One COPY or ADD: `inputs` decide about the cache; texts are the here-documents."""

    sources: Sequence[str]
    destination: str
    owner: str
    mode: int | None
    unpacks: bool
    layers: Sequence[Layer] | None  # Of the image that it copies from; None: the context.
    texts: Mapping[str, str]
    inputs: Mapping[str, Any]


class CopyStep:
    def __init__(self, layers: LayerStore, context: SourceTree, escape: str) -> None:
        self._layers = layers
        self._context = context
        self._escape = escape

    def plan(self, one: Instruction, now: State, source: Sequence[Layer] | None) -> Planned:
        """Raises: DockerfileError, WordError, CopyError, OSError."""
        for name, _ in one.flags:
            if name not in FLAGS:
                raise one.error(f"unknown flag: --{name}")
        words = [expand(word, now.variables, self._escape) for word in one.json or one.rest.split()]
        if len(words) < 2:
            raise one.error("requires at least two arguments, but only one was provided")
        *patterns, last = words
        texts = self._texts(one, now, patterns)
        patterns = [word for word in patterns if not is_heredoc(word)]
        check_local(one, patterns)
        destination = image_config.absolute(now.config, last)
        if last.endswith(("/", "/.")) or last == ".":
            destination = destination.rstrip("/") + "/"
        sources, digests = self._found(patterns, source)
        return Planned(
            sources=sources,
            destination=destination,
            owner=expand(one.flag("chown"), now.variables, self._escape),
            mode=_mode(one, expand(one.flag("chmod"), now.variables, self._escape)),
            unpacks=one.name == "ADD",
            layers=source,
            texts=texts,
            inputs={"sources": digests, "destination": destination, "texts": texts},
        )

    def _texts(self, one: Instruction, now: State, words: Sequence[str]) -> dict[str, str]:
        if not any(is_heredoc(word) for word in words):
            return {}
        return {
            doc.name: expand_text(doc.text, now.variables, self._escape) if doc.expand else doc.text
            for doc in one.heredocs
        }

    def _found(
        self, patterns: Sequence[str], source: Sequence[Layer] | None
    ) -> tuple[list[str], dict[str, str]]:
        """Paths that patterns name, and the digests of what is there."""

        def look(tree: SourceTree) -> tuple[list[str], dict[str, str]]:
            found: list[str] = []
            for pattern in patterns:
                matches = tree.match(pattern)
                if not matches:
                    raise CopyError(
                        f"file not found in build context or excluded by .dockerignore: "
                        f"stat {pattern}: file does not exist"
                    )
                found += matches
            return found, {path: tree.digest(path) for path in found}

        if source is None:
            return look(self._context)
        return self._layers.looked_at(source, lambda root: look(image_tree(root)))

    def run(self, planned: Planned, below: Sequence[Layer]) -> Layer:
        """Raises: CopyError, LayerError, OSError."""
        if planned.layers is not None:

            def from_image(source: Rootfs, root: Rootfs) -> None:
                copying.copy(image_tree(source), _work(planned, root), root)

            return self._layers.copied(planned.layers, below, from_image)

        def from_context(root: Rootfs) -> None:
            work = _work(planned, root)
            if planned.sources:
                copying.copy(self._context, work, root)
            with _texts_tree(planned.texts) as (tree, names):
                if names:
                    more = Copy(names, work.destination, work.owner, work.mode)
                    copying.copy(tree, more, root)

        layer = self._layers.changed(below, from_context)
        assert layer is not None
        return layer


def expand_text(text: str, variables: Mapping[str, str], escape: str) -> str:
    """Variables of a here-document; its quotes are text."""
    quoted = text.replace("'", f"{escape}'").replace('"', f'{escape}"')
    return expand(quoted, variables, escape)


def check_local(one: Instruction, patterns: Sequence[str]) -> None:
    for word in patterns:
        if one.name == "ADD" and (
            word.startswith(("http://", "https://", "git@")) or "://" in word
        ):
            raise one.error(f"{word}: only local files can be added; fetch it with RUN")


def _mode(one: Instruction, text: str) -> int | None:
    if not text:
        return None
    try:
        mode = int(text, 8)
    except ValueError:
        mode = -1
    if not 0 <= mode <= MODE_MAX:
        raise one.error(f"invalid chmod parameter: '{text}'. it should be octal string")
    return mode


def image_tree(root: Rootfs) -> SourceTree:
    return SourceTree(root.path, keeps_owners=True)


def _work(planned: Planned, root: Rootfs) -> Copy:
    owner = owner_of(planned.owner, root) if planned.owner else None
    return Copy(planned.sources, planned.destination, owner, planned.mode, planned.unpacks)


def owner_of(text: str, root: Rootfs) -> tuple[int, int]:
    """--chown: names are the image's; without a group it has the user's number.

    Raises: CopyError.
    """
    user, _, group = text.partition(":")
    passwd, groups = (_read(root, f"etc/{name}") for name in ("passwd", "group"))
    try:
        found = users.resolve(user, group, [], strict=True, passwd=passwd, group_file=groups)
    except ValueError as exc:
        raise CopyError(str(exc)) from exc
    return found.uid, found.gid if group else found.uid


def _read(root: Rootfs, path: str) -> str:
    try:
        at = root.find(path)
    except OSError:
        return ""
    try:
        with open(f"/proc/self/fd/{at}", errors="replace") as file:
            return file.read(USER_FILE_BYTES_MAX)
    finally:
        os.close(at)


@contextmanager
def _texts_tree(texts: Mapping[str, str]) -> Iterator[tuple[SourceTree, list[str]]]:
    """Here-documents as files."""
    with tempfile.TemporaryDirectory() as directory:
        for name, text in texts.items():
            with open(posixpath.join(directory, name), "w") as file:
                file.write(text)
            os.chmod(file.name, 0o644)
        yield SourceTree(directory), sorted(texts)
