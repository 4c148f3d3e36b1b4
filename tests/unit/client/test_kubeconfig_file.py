"""Locks and owners of kubeconfig files."""

import os
import threading
from pathlib import Path

import pytest

from tiphys.client import kubeconfig
from tiphys.client.kubeconfig_file import Owner, locked, owner_of, write

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
SUDO = {"SUDO_UID": "4711", "SUDO_GID": "4712"}


def test_changes_at_the_same_moment_are_all_kept(tmp_path: Path) -> None:
    path = tmp_path / "config"
    names = [f"c{n}" for n in range(8)]

    def add(name: str) -> None:
        kubeconfig.set_context(path, name, {"server": "https://x"}, {}, make_current=True)

    threads = [threading.Thread(target=add, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(c["name"] for c in kubeconfig.read(path)["contexts"]) == names
    assert [p.name for p in tmp_path.iterdir()] == ["config"]


def test_a_lock_of_kubectl_is_respected(tmp_path: Path) -> None:
    path = tmp_path / "config"
    (tmp_path / "config.lock").touch()
    with pytest.raises(TimeoutError, match=r"left .*/config\.lock"), locked(path, None, 0.05):
        raise AssertionError("it is not ours")
    assert (tmp_path / "config.lock").exists(), "the lock is another's"


def test_a_file_without_the_context_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text("# mine\ncontexts: []\n")
    kubeconfig.remove_context(path, "other")
    assert path.read_text() == "# mine\ncontexts: []\n"


@needs_root
def test_under_sudo_the_file_belongs_to_who_called_it(tmp_path: Path) -> None:
    path = tmp_path / "home" / ".kube" / "config"

    def home_of(uid: int) -> Path | None:
        return tmp_path / "home" if uid == 4711 else None

    owner = owner_of(path, SUDO, home_of)
    assert owner == Owner(4711, 4712)
    with locked(path, owner):
        write(path, "{}", owner)
    assert [(p.stat().st_uid, p.stat().st_gid) for p in (path, path.parent)] == [(4711, 4712)] * 2


@needs_root
@pytest.mark.parametrize("environ", [{}, SUDO], ids=["root", "sudo-elsewhere"])
def test_elsewhere_a_file_stays_whose_it_was(tmp_path: Path, environ: dict[str, str]) -> None:
    path = tmp_path / "config"
    assert owner_of(path, environ, lambda _: None) is None
    path.touch()
    os.chown(path, 4713, 4714)
    assert owner_of(path, environ, lambda _: Path("/home/other")) == Owner(4713, 4714)
    kubeconfig.set_context(path, "c", {}, {}, make_current=True)
    assert (path.stat().st_uid, path.stat().st_gid) == (4713, 4714)
