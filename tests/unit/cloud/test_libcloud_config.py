"""The cloud configuration file: what is wrong is said, and no secret with it."""

from pathlib import Path

import pytest

from tiphys.cloud.providers.libcloud.config import CloudConfigError, load
from tiphys.cloud.providers.libcloud.provider import from_config

GOOD = "compute: {driver: dummy, credentialsFile: secret.yaml, options: {region: r}}\n"


def write(directory: Path, text: str, secret: str = "creds: hunter2\n", mode: int = 0o600) -> Path:
    (directory / "secret.yaml").write_text(secret)
    (directory / "secret.yaml").chmod(mode)
    path = directory / "cloud.yaml"
    path.write_text(text)
    return path


def test_a_file_is_read_and_shows_no_secret(tmp_path: Path) -> None:
    found = load(write(tmp_path, GOOD))
    assert found.compute is not None
    assert found.compute.arguments() == {"region": "r", "creds": "hunter2"}
    assert "hunter2" not in repr(found)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("compute: {driver: dummy}\nelse: 1\n", "unknown field else"),
        ("compute: {drivre: dummy}\n", "compute.driver is missing"),
        ("compute: {driver: dummy, secret: x}\n", "unknown field compute.secret"),
        ("{}\n", "names neither compute nor loadBalancer"),
        ("loadBalancer: {driver: x}\nroutes: true\n", "true with compute only"),
        ("compute: {driver: dummy, credentialsFile: none.yaml}\n", "No such file"),
        ("compute: {driver: dummy, options: 1}\n", "options is no mapping"),
        ("[1]\n", "is no mapping"),
        ("a: [\n", "is no YAML"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(CloudConfigError, match=why):
        load(write(tmp_path, text))


def test_secrets_that_others_can_read_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CloudConfigError, match="chmod 600") as raised:
        load(write(tmp_path, GOOD, mode=0o644))
    assert "hunter2" not in str(raised.value)


def test_a_broken_secret_is_not_shown(tmp_path: Path) -> None:
    with pytest.raises(CloudConfigError, match="is no YAML") as raised:
        load(write(tmp_path, GOOD, secret="hunter2: [\n"))
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("compute: {driver: nonsense}\n", 'driver "nonsense" is none of Libcloud'),
        (GOOD, "unexpected keyword argument 'region'"),
    ],
)
def test_drivers_that_cannot_be_made(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(CloudConfigError, match=why) as raised:
        from_config(load(write(tmp_path, text)))
    assert "hunter2" not in str(raised.value)
