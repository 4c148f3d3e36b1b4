"""Who a process is, from the image's files."""

import pytest

from tiphys.runtime.oci.users import Identity, resolve

PASSWD = "root:x:0:0:r:/root:/bin/sh\nweb:x:33:34:w:/var/www:/bin/sh\nbad:x:no:1:::\n"
GROUP = "root:x:0:\nwww:x:34:\nextra:x:50:web,other\nmore:x:51:web\nbroken\n"


@pytest.mark.parametrize(
    ("user", "group", "supplemental", "strict", "expected"),
    [
        pytest.param("", "", [], False, Identity(0, 0, (0,), "/root"), id="nobody-said"),
        pytest.param("web", "", [], False, Identity(33, 34, (34, 50, 51), "/var/www"), id="name"),
        pytest.param("33", "", [], False, Identity(33, 34, (34, 50, 51), "/var/www"), id="number"),
        pytest.param("web", "", [7], True, Identity(33, 34, (34, 7), "/var/www"), id="strict"),
        pytest.param(
            "web", "root", [7], False, Identity(33, 0, (0, 7, 50, 51), "/var/www"), id="group"
        ),
        pytest.param("1000", "", [5], False, Identity(1000, 0, (0, 5), "/"), id="unknown-number"),
        pytest.param("1000", "2000", [], False, Identity(1000, 2000, (2000,), "/"), id="numbers"),
    ],
)
def test_resolve(
    user: str, group: str, supplemental: list[int], strict: bool, expected: Identity
) -> None:
    found = resolve(user, group, supplemental, strict=strict, passwd=PASSWD, group_file=GROUP)
    assert found == expected


@pytest.mark.parametrize(
    ("user", "group", "error"),
    [
        pytest.param("ghost", "", "unable to find user ghost", id="user"),
        pytest.param("0", "ghosts", "unable to find group ghosts", id="group"),
        pytest.param("4294967296", "", "must be in range", id="too-big"),
        pytest.param("bad", "", "unable to find user bad", id="broken-line"),
    ],
)
def test_what_the_image_does_not_know(user: str, group: str, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        resolve(user, group, [], strict=False, passwd=PASSWD, group_file=GROUP)
