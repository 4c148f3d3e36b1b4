"""Which image is forked from which, and the bytes that each adds. Pure.

An image is another's child when it begins with all of the other's layers and its history with all
of the other's steps. Of several the one with most steps is the parent.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tiphys.runtime.images.stored_image import StoredImage


@dataclass
class Branch:
    """An image with its names; `added_bytes` are its own layers', `shared_bytes` its parent's."""

    image: StoredImage
    names: list[str]
    parent: "Branch | None" = None
    children: list["Branch"] = field(default_factory=list)

    @property
    def added_bytes(self) -> int:
        return self.image.size_bytes - self.shared_bytes

    @property
    def shared_bytes(self) -> int:
        return self.parent.image.size_bytes if self.parent else 0


def is_forked(child: StoredImage, parent: StoredImage) -> bool:
    """Times of steps do not count: a base that was built again is the same base."""
    below = [layer.diff_id for layer in parent.layers]
    if child.id == parent.id or not below:
        return False
    if [layer.diff_id for layer in child.layers][: len(below)] != below:
        return False
    old, new = _steps(parent), _steps(child)
    same = new[: len(old)] == old
    return same and (len(child.layers), len(new)) > (len(below), len(old))


def _steps(image: StoredImage) -> list[tuple[str, bool]]:
    return [(str(row.get("created_by", "")), bool(row.get("empty_layer"))) for row in image.history]


def forest(images: Sequence[tuple[str, StoredImage]]) -> list[Branch]:
    """The roots, with all others below them; names and siblings in alphabetical order."""
    branches: dict[str, Branch] = {}
    for name, image in sorted(images, key=lambda pair: pair[0]):
        branches.setdefault(image.id, Branch(image, [])).names.append(name)
    found = list(branches.values())
    for branch in found:
        parents = [other for other in found if is_forked(branch.image, other.image)]
        if parents:
            branch.parent = max(parents, key=_depth)
            branch.parent.children.append(branch)
    return [branch for branch in found if branch.parent is None]


def _depth(branch: Branch) -> tuple[int, int]:
    return len(branch.image.layers), len(branch.image.history)


def draw(roots: Sequence[Branch]) -> list[tuple[str, Branch]]:
    """Lines in order: the branch's drawing with its name, and the branch."""
    lines: list[tuple[str, Branch]] = []
    for root in roots:
        lines.append((", ".join(root.names), root))
        _draw_below(root, "", lines)
    return lines


def _draw_below(branch: Branch, indent: str, lines: list[tuple[str, Branch]]) -> None:
    for child in branch.children:
        last = child is branch.children[-1]
        lines.append((f"{indent}{'└── ' if last else '├── '}{', '.join(child.names)}", child))
        _draw_below(child, indent + ("    " if last else "│   "), lines)
