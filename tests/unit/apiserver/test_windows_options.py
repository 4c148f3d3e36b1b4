"""Windows' part of security contexts."""

import pytest

from tiphys.apiserver.resources.rules.windows_options import windows_options


@pytest.mark.parametrize(
    ("user", "why"),
    [
        ("ContainerUser", ""),
        ("NT AUTHORITY\\SYSTEM", ""),
        ("example.com\\u", ""),
        ("", "runAsUserName cannot be an empty string"),
        ("a\nb", "runAsUserName cannot contain control characters"),
        ("a\\b\\c", "runAsUserName cannot contain more than one backslash"),
        ("d\\", "runAsUserName's User cannot be empty"),
        (
            "a-long.example.com.\\u",
            "runAsUserName's Domain doesn't match the NetBios nor the DNS format",
        ),
        ("...", "runAsUserName's User cannot contain only periods or spaces"),
        ("a?b", "runAsUserName's User cannot contain the following characters"),
        ("x" * 105, "runAsUserName's User length must not be longer than 104 characters"),
    ],
)
def test_user_names(user: str, why: str) -> None:
    found = [e.detail for e in windows_options({"runAsUserName": user}, "w")]
    assert [d.startswith(why) for d in found] == ([True] if why else [])


def test_a_credential_has_a_name_and_a_size() -> None:
    found = windows_options({"gmsaCredentialSpecName": "Bad_", "gmsaCredentialSpec": ""}, "w")
    assert [e.path for e in found] == ["w.gmsaCredentialSpecName", "w.gmsaCredentialSpec"]
