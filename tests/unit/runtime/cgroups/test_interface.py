"""Where a container's group is."""

import pytest

from tiphys.runtime.cgroups.interface import child_path


@pytest.mark.parametrize(
    ("root", "parent", "expected"),
    [
        pytest.param("p", "/kubepods/besteffort/podX", "p/kubepods/besteffort/podX/c", id="plain"),
        pytest.param("/t/p/n", "/t/p/n/kubepods/podX", "t/p/n/kubepods/podX/c", id="has-the-root"),
        pytest.param("", "/kubepods/podX", "kubepods/podX/c", id="no-root"),
        pytest.param("p", "", "p/c", id="no-parent"),
    ],
)
def test_child_path(root: str, parent: str, expected: str) -> None:
    assert child_path(root, parent, "c") == expected


@pytest.mark.parametrize(
    ("parent", "name"), [("/a/../..", "c"), ("/a", ".."), ("/a", "b/c"), ("a", "")]
)
def test_leaving_the_root_is_refused(parent: str, name: str) -> None:
    with pytest.raises(ValueError, match="not a plain path"):
        child_path("p", parent, name)
