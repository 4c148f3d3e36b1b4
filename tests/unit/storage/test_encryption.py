"""Encryption at rest: configurations that can be used, values sealed and opened."""

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from tiphys.storage.backend import StorageError
from tiphys.storage.encryption.configuration import (
    EncryptionConfig,
    EncryptionConfigError,
    load,
    parse,
    resource_of,
)
from tiphys.storage.encryption.providers import Transformer

ONE, TWO = bytes(range(32)), bytes(range(16))
SECRET = "/registry/secrets/default/s"


def key(name: str, secret: bytes) -> dict[str, str]:
    return {"name": name, "secret": base64.b64encode(secret).decode()}


def document(*providers: dict[str, Any], resources: tuple[str, ...] = ("secrets",)) -> Any:
    return {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "EncryptionConfiguration",
        "resources": [{"resources": list(resources), "providers": list(providers)}],
    }


def zeros(size: int) -> bytes:
    return bytes(size)


def config(
    *providers: dict[str, Any], resources: tuple[str, ...] = ("secrets",)
) -> EncryptionConfig:
    return parse(document(*providers, resources=resources), zeros)


def transformer(*providers: dict[str, Any]) -> Transformer:
    found = config(*providers).transformer_of(SECRET)
    assert found is not None
    return found


def gcm(*keys: dict[str, str]) -> dict[str, Any]:
    return {"aesgcm": {"keys": list(keys)}}


def cbc(*keys: dict[str, str]) -> dict[str, Any]:
    return {"aescbc": {"keys": list(keys)}}


IDENTITY: dict[str, Any] = {"identity": {}}


def test_the_stored_form_is_upstreams() -> None:
    sealed = transformer(gcm(key("key1", ONE))).seal(SECRET, b"value")
    start = b"k8s:enc:aesgcm:v1:key1:"
    assert sealed.startswith(start)
    nonce, rest = sealed[len(start) :][:12], sealed[len(start) + 12 :]
    assert AESGCM(ONE).decrypt(nonce, rest, SECRET.encode()) == b"value"
    assert transformer(cbc(key("k", TWO))).seal(SECRET, b"v").startswith(b"k8s:enc:aescbc:v1:k:")


@given(st.binary(max_size=100), st.sampled_from(["aesgcm", "aescbc"]), st.sampled_from([ONE, TWO]))
def test_what_is_sealed_opens(value: bytes, kind: str, secret: bytes) -> None:
    one = transformer({kind: {"keys": [key("k", secret)]}})
    assert one.open(SECRET, one.seal(SECRET, value)) == (value, False)


def test_a_value_is_no_other_keys() -> None:
    one = transformer(gcm(key("k", ONE)))
    sealed = one.seal(SECRET, b"value")
    with pytest.raises(StorageError, match="cannot be decrypted"):
        one.open("/registry/secrets/default/other", sealed)
    with pytest.raises(StorageError, match="cannot be decrypted"):
        one.open(SECRET, sealed[:-1] + bytes([sealed[-1] ^ 1]))


def test_the_first_key_writes_and_all_read() -> None:
    old = transformer(gcm(key("old", ONE)))
    both = transformer(gcm(key("new", TWO), key("old", ONE)), IDENTITY)
    assert both.open(SECRET, old.seal(SECRET, b"v")) == (b"v", True)
    assert both.open(SECRET, b"plain") == (b"plain", True)
    assert both.open(SECRET, both.seal(SECRET, b"v")) == (b"v", False)
    with pytest.raises(StorageError, match="with the key 'new'"):
        old.open(SECRET, both.seal(SECRET, b"v"))
    with pytest.raises(StorageError, match="is not encrypted"):
        old.open(SECRET, b"plain")
    with pytest.raises(StorageError, match="is encrypted"):
        transformer(IDENTITY).open(SECRET, old.seal(SECRET, b"v"))


@pytest.mark.parametrize(
    ("patterns", "sealed", "plain"),
    [
        (("secrets",), ["/registry/secrets/n/x"], ["/registry/configmaps/n/x", "/registry/apps/x"]),
        (("deployments.apps",), ["/registry/apps/deployments/n/x"], ["/registry/apps/a/n/x"]),
        (("*.apps",), ["/registry/apps/deployments/n/x"], ["/registry/batch/jobs/n/x"]),
        (("*.",), ["/registry/pods/n/x"], ["/registry/apps/deployments/n/x"]),
        (("*.*",), ["/registry/pods/n/x", "/registry/apps/deployments/n/x"], ["/other/x"]),
        (("things.example.com",), ["/registry/example.com/things/n/x"], ["/registry/pods/n/x"]),
    ],
)
def test_which_resources_are_meant(
    patterns: tuple[str, ...], sealed: list[str], plain: list[str]
) -> None:
    one = config(gcm(key("k", ONE)), resources=patterns)
    assert all(one.transformer_of(k) is not None for k in sealed)
    assert all(one.transformer_of(k) is None for k in plain)


def test_a_resource_by_its_key() -> None:
    assert resource_of("/registry/rbac.authorization.k8s.io/roles/n/x") == (
        "roles.rbac.authorization.k8s.io"
    )


@pytest.mark.parametrize(
    ("given_", "why"),
    [
        ({}, "apiVersion"),
        ([], "the file: fields are wanted"),
        (document(), "providers: a list is wanted"),
        (document(IDENTITY, resources=()), "resources: a list is wanted"),
        (document(IDENTITY, resources=("*",)), "'\\*' is no resource"),
        (document({"kms": {}}), "no provider 'kms' here; there are aesgcm, aescbc, identity"),
        (document({"aesgcm": {}, "identity": {}}), "one provider is wanted"),
        (document(gcm()), r"providers\[0\].aesgcm.keys: a list is wanted"),
        (document(gcm(key("a:b", ONE))), "without a colon"),
        (document(gcm(key("a", ONE[:5]))), r"keys\[0\].secret has 5 bytes"),
        (document(gcm({"name": "a", "secret": "%"})), "secret is not base64"),
        (document(gcm(key("a", ONE), key("a", TWO))), r"keys\[1\].name is there twice"),
        (document(IDENTITY) | {"more": 1}, "more is not known here"),
    ],
)
def test_what_cannot_be_used(given_: Any, why: str, tmp_path: Path) -> None:
    file = tmp_path / "encryption.yaml"
    file.write_text(yaml.safe_dump(given_))
    with pytest.raises(EncryptionConfigError, match=why) as error:
        load(file)
    assert str(error.value).startswith(str(file))
    assert base64.b64encode(ONE).decode() not in str(error.value)
