"""What volumes hold, from objects to files."""

import asyncio
import base64
import stat
from pathlib import Path

import pytest

from tiphys.api.meta import Obj
from tiphys.kubelet.volumes import host_path
from tiphys.kubelet.volumes.pod_volumes import set_up_volumes, tear_down
from tiphys.kubelet.volumes.projected import files_of
from tiphys.kubelet.volumes.sub_path import bind_sub_path
from tiphys.kubelet.volumes.volume import Context, HostVolume, VolumeError, fs_user
from unit.kubelet.builders import a_container, a_pod


class Objects:
    """One config map `x`, one secret `s`, and a token."""

    async def config_map(self, namespace: str, name: str) -> Obj | None:
        return {"data": {"a": "one", "b": "two"}} if name == "x" else None

    async def secret(self, namespace: str, name: str) -> Obj | None:
        return {"data": {"k": base64.b64encode(b"hidden").decode()}} if name == "s" else None

    async def token(self, pod: Obj, audience: str, seconds: int) -> str:
        return f"{audience}/{seconds}"

    async def claim(self, namespace: str, name: str) -> Obj | None:
        if name != "claim":
            return None
        return {"spec": {"volumeName": "pv"}, "status": {"phase": "Bound"}}

    async def persistent_volume(self, name: str) -> Obj | None:
        return {"spec": {"hostPath": {"path": "/tmp"}}}


def set_up(directory: Path, pod: Obj) -> dict[str, HostVolume]:
    return asyncio.run(set_up_volumes(pod, Context(directory, Objects(), {})))


def with_volume(**source: object) -> Obj:
    return a_pod(volumes=[{"name": "v", **source}])


def test_a_config_map_is_files_and_read_only(tmp_path: Path) -> None:
    found = set_up(tmp_path, with_volume(configMap={"name": "x", "defaultMode": 0o400}))["v"]
    assert found.readonly
    assert found.path == tmp_path / "volumes" / "kubernetes.io~configmap" / "v"
    assert (found.path / "a").read_text() == "one"
    assert stat.S_IMODE((found.path / "a").stat().st_mode) == 0o400


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"configMap": {"name": "nope"}}, 'configmap "nope" not found'),
        (
            {"configMap": {"name": "x", "items": [{"key": "nokey", "path": "a"}]}},
            "configmap references non-existent config key: nokey",
        ),
        ({"secret": {"secretName": "nope"}}, 'secret "nope" not found'),
        (
            {"projected": {"sources": [{"configMap": {"name": "nope"}}]}},
            'configmap "nope" not found',
        ),
        (
            {"hostPath": {"path": "/none-o-node", "type": "File"}},
            "hostPath type check failed: /none-o-node is not a file",
        ),
        ({"persistentVolumeClaim": {"claimName": "x"}}, 'persistentvolumeclaim "x" not found'),
    ],
)
def test_what_is_missing_fails_the_mount(tmp_path: Path, source: Obj, message: str) -> None:
    with pytest.raises(VolumeError) as caught:
        set_up(tmp_path, with_volume(**source))
    assert str(caught.value) == f'MountVolume.SetUp failed for volume "v" : {message}'


def test_optional_sources_may_be_missing(tmp_path: Path) -> None:
    found = set_up(tmp_path, with_volume(configMap={"name": "nope", "optional": True}))["v"]
    assert found.path is not None
    assert [p.name for p in found.path.iterdir() if not p.name.startswith("..")] == []


def test_an_empty_dir_is_open_to_all_and_kept(tmp_path: Path) -> None:
    pod = with_volume(emptyDir={})
    first = set_up(tmp_path, pod)["v"].path
    assert first is not None
    assert stat.S_IMODE(first.stat().st_mode) == 0o777
    (first / "f").write_text("kept")
    assert set_up(tmp_path, pod)["v"].path == first
    assert (first / "f").exists()
    tear_down(tmp_path)
    assert not tmp_path.exists()


def test_a_claim_leads_to_its_host_path(tmp_path: Path) -> None:
    found = set_up(tmp_path, with_volume(persistentVolumeClaim={"claimName": "claim"}))["v"]
    assert found == HostVolume(Path("/tmp"))


@pytest.mark.parametrize(
    ("context", "mode", "user"),
    [({}, 0o644, None), ({"runAsUser": 1000}, 0o600, 1000), ({"fsGroup": 2000}, 0o600, None)],
)
def test_a_token_is_for_its_user_alone(
    tmp_path: Path, context: Obj, mode: int, user: int | None
) -> None:
    """node/volume/52 to 55."""
    source = {"serviceAccountToken": {"path": "tok", "audience": "me", "expirationSeconds": 900}}
    work = files_of(a_pod(securityContext=context), source, 0o644, Context(tmp_path, Objects(), {}))
    file = asyncio.run(work)["tok"]
    assert (file.data, file.mode, file.user) == (b"me/900", mode, user)


def test_containers_must_agree_on_a_user() -> None:
    same = a_container(securityContext={"runAsUser": 5})
    assert fs_user(a_pod(same, same)) == 5
    assert fs_user(a_pod(same, a_container())) is None


def test_host_paths_are_made_where_they_may_be(tmp_path: Path) -> None:
    host_path.prepare(tmp_path / "d", "DirectoryOrCreate")
    host_path.prepare(tmp_path / "f", "FileOrCreate")
    assert (tmp_path / "d").is_dir()
    assert (tmp_path / "f").is_file()


@pytest.mark.parametrize("sub_path", ["../x", "/etc", "link"])
def test_a_sub_path_stays_in_its_volume(tmp_path: Path, sub_path: str) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "link").symlink_to("/etc")
    with pytest.raises(VolumeError):
        bind_sub_path(volume, sub_path, tmp_path / "target")
