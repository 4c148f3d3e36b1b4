"""Which outputs are like the one of a page."""

import pytest

from tiphys.cluster.learn.likeness import is_like

PODS = "NAME                          READY   STATUS\nhello-node-7676b5fb8d-rmh97   1/1     Running"


@pytest.mark.parametrize(
    ("output", "shown", "like"),
    [
        (PODS, PODS.replace("7676b5fb8d-rmh97", "59c8d7f7b6-x2x4z"), True),
        (PODS, PODS.replace("Running", "Pending"), False),
        (PODS, PODS.replace("hello-node", "web"), False),
        ("a 6m7s", "a   12s", True),
        ("a 10.96.0.1 x", "a 10.244.0.17   x", True),
        ("8080:31950/TCP", "8080:30001/TCP", True),
        ("8080:31950/TCP", "80:30001/TCP", False),
        ("a\nb\nc", "a\n...\nc", True),
        ("a\nc", "a\n...\nc", True),
        ("a\nb\nc\nd", "a\n...\nc", False),
        ("before\na\nafter", "...\na\n...", True),
        ("before\nb\nafter", "...\na\n...", False),
        ("sha256:abc", "sha256:...", True),
        ("md5:abc", "sha256:...", False),
        ("anything at all", "", True),
        ("one more line\na", "a", False),
        ("web-7676b5fb8d made", "web-59c8d7f7b6 made", True),
        ("", "a", False),
    ],
)
def test_like(output: str, shown: str, like: bool) -> None:
    assert is_like(output, shown) is like
