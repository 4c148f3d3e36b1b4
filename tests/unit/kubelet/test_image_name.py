"""Image names and pull policies."""

import pytest

from tiphys.kubelet.image_name import ImageNameError, pull_policy, with_tag


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("busybox", "busybox:latest"),
        ("busybox:1", "busybox:1"),
        ("localhost:5000/a/b", "localhost:5000/a/b:latest"),
        ("gcr.io/x/y:v1.2", "gcr.io/x/y:v1.2"),
        ("a@sha256:" + "0" * 64, "a@sha256:" + "0" * 64),
    ],
)
def test_names_without_a_tag_get_latest(name: str, wanted: str) -> None:
    assert with_tag(name) == wanted


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("UPPER/Case", "invalid reference format: repository name (Case) must be lowercase"),
        ("Upper", "invalid reference format: repository name (Upper) must be lowercase"),
        ("a b", "invalid reference format"),
        ("a:", "invalid reference format"),
        ("", "invalid reference format"),
        ("a//b", "invalid reference format"),
    ],
)
def test_what_is_no_name_is_refused_in_upstreams_words(name: str, why: str) -> None:
    with pytest.raises(ImageNameError) as caught:
        with_tag(name)
    assert str(caught.value) == (
        f'Failed to apply default image tag "{name}": couldn\'t parse image name "{name}": {why}'
    )


@pytest.mark.parametrize(
    ("image", "policy", "wanted"),
    [
        ("a", None, "Always"),
        ("a:latest", None, "Always"),
        ("a:1", None, "IfNotPresent"),
        ("localhost:5000/a", None, "Always"),
        ("a", "Never", "Never"),
    ],
)
def test_the_default_policy_follows_the_tag(image: str, policy: str | None, wanted: str) -> None:
    assert pull_policy({"image": image, "imagePullPolicy": policy}) == wanted
