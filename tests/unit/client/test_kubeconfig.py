"""Reading kubeconfigs and adding a context without losing others'."""

from pathlib import Path

import pytest

from tiphys.client import kubeconfig
from tiphys.lib.logs import Secret


def test_a_context_is_added_replaced_and_removed_beside_others(tmp_path: Path) -> None:
    path = tmp_path / ".kube" / "config"
    kubeconfig.set_context(path, "a", {"server": "https://a"}, {"token": "t"}, make_current=True)
    kubeconfig.set_context(path, "b", {"server": "https://b"}, {"token": "u"}, make_current=False)
    assert kubeconfig.load(path).server == "https://a"
    kubeconfig.set_context(path, "b", {"server": "https://c"}, {}, make_current=True)
    assert kubeconfig.load(path).server == "https://c"
    kubeconfig.remove_context(path, "b")
    assert kubeconfig.read(path)["current-context"] == ""
    assert kubeconfig.load(path, "a").token == "t"
    assert path.stat().st_mode & 0o777 == 0o600
    kubeconfig.remove_context(path, "a")
    assert not path.exists(), "nothing of others was in it"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("a: [", "is not YAML", id="not-yaml"),
        pytest.param("[]", "is not a mapping", id="not-a-mapping"),
        pytest.param("{}", "has no current context", id="no-context"),
        pytest.param("current-context: x", 'has no context "x"', id="unknown-context"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(kubeconfig.KubeconfigError, match=message):
        kubeconfig.load(path)


def test_a_token_is_never_shown() -> None:
    access = kubeconfig.Access(server="https://a", token=Secret("geheim"))
    assert "geheim" not in repr(access)
