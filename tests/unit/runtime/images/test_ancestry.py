"""The picture of the notebook: A base; B and C forked from A; D and E forked from B."""

from typing import Any

from tiphys.runtime.images.ancestry import draw, forest
from tiphys.runtime.images.stored_image import Layer, StoredImage


def an_image(name: str, layers: str, *config_steps: str, created: str = "t") -> StoredImage:
    history: list[dict[str, Any]] = [{"created_by": one, "created": created} for one in layers]
    history += [{"created_by": one, "empty_layer": True} for one in config_steps]
    rows = tuple(Layer("tar", f"sha256:{one}", 10 * ord(one), f"sha256:{one}") for one in layers)
    return StoredImage(f"sha256:{name}{layers}", "sha256:m", {"history": history}, rows)


def lines(*images: tuple[str, StoredImage]) -> list[tuple[str, int, int]]:
    return [(text, b.added_bytes, b.shared_bytes) for text, b in draw(forest(images))]


def test_five_images_are_one_tree() -> None:
    images = [
        ("e", an_image("e", "abe", created="later")),
        ("d", an_image("d", "abd")),
        ("c", an_image("c", "ac")),
        ("b", an_image("b", "ab", created="another day")),
        ("a", an_image("a", "a")),
    ]
    a, b, c, d, e = (10 * ord(one) for one in "abcde")
    assert lines(*images) == [
        ("a", a, 0),
        ("├── b", b, a),
        ("│   ├── d", d, a + b),
        ("│   └── e", e, a + b),
        ("└── c", c, a),
    ]


def test_names_of_one_image_share_a_line_and_strangers_a_root() -> None:
    one = an_image("a", "a")
    assert lines(("x:2", one), ("x:1", one), ("y", an_image("y", "z"))) == [
        ("x:1, x:2", 970, 0),
        ("y", 1220, 0),
    ]


def test_a_step_without_files_makes_a_child_too() -> None:
    found = lines(("a", an_image("a", "a")), ("b", an_image("b", "a", "ENV x=1")))
    assert [text for text, _, _ in found] == ["a", "└── b"]


def test_the_same_layers_by_other_steps_are_no_child() -> None:
    left, right = an_image("l", "ab", "ENV x=1"), an_image("r", "abc", "ENV x=2")
    assert [text for text, _, _ in lines(("l", left), ("r", right))] == ["l", "r"]
