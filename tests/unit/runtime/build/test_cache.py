"""Cache keys and the step cache."""

from pathlib import Path

import pytest

from tiphys.runtime.build.cache import Made, StepCache, key
from tiphys.runtime.images.stored_image import Layer

SAME = (["l1"], "RUN x", {"environment": {"a": "1"}})


@pytest.mark.parametrize(
    "other",
    [
        pytest.param((["l2"], "RUN x", {"environment": {"a": "1"}}), id="parent"),
        pytest.param((["l1"], "RUN y", {"environment": {"a": "1"}}), id="text"),
        pytest.param((["l1"], "RUN x", {"environment": {"a": "2"}}), id="environment"),
        pytest.param((["l1", "l1"], "RUN x", {"environment": {"a": "1"}}), id="more-parents"),
    ],
)
def test_every_input_is_part_of_the_key(other: tuple[list[str], str, dict[str, object]]) -> None:
    assert key(*SAME) == key(["l1"], "RUN x", {"environment": {"a": "1"}})
    assert key(*SAME) != key(*other)


def test_steps_are_found_again_and_the_oldest_forgotten(tmp_path: Path) -> None:
    import os

    cache = StepCache(str(tmp_path / "steps"))
    layer = Layer("tar", "sha256:1", 5, "sha256:2")
    cache.save("old", Made("then", layer))
    cache.save("new", Made("now"))
    os.utime(tmp_path / "steps" / "old", (1, 1))
    assert StepCache(str(tmp_path / "steps")).find("new") == Made("now")
    cache.trim(1)
    assert cache.find("old") is None
    (tmp_path / "steps" / "new").write_text("{")
    assert cache.find("new") is None
