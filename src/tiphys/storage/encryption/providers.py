"""How a value is sealed and opened: the providers of an EncryptionConfiguration.

A sealed value begins with `k8s:enc:PROVIDER:v1:KEY:`. The key under which it is stored is sealed
with it (aesgcm), so that no value passes for another one's.
Upstream: apiserver pkg/storage/value/encrypt (aes, identity), pkg/storage/value/transformer.go.
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

from tiphys.storage.backend import StorageError
from tiphys.storage.store import SEALED

NONCE_BYTES: Final = 12  # NIST SP 800-38D: the size that AES-GCM is made for.
BLOCK_BYTES: Final = 16
AES_KEY_BYTES: Final = (16, 24, 32)

Random = Callable[[int], bytes]


class Key(NamedTuple):
    """`name` stands in the value, `secret` is the key itself."""

    name: str
    secret: bytes


class Opened(NamedTuple):
    """A value as it was; `is_stale` when it would be sealed otherwise today."""

    value: bytes
    is_stale: bool


class _Sealer(Protocol):
    def seal(self, value: bytes, context: bytes) -> bytes: ...

    def open(self, data: bytes, context: bytes) -> bytes:
        """Raises ValueError for data that was not sealed by this one."""
        ...


class _AesGcm:
    """nonce, then ciphertext with its tag."""

    def __init__(self, secret: bytes, random: Random) -> None:
        self._aead = AESGCM(secret)
        self._random = random

    def seal(self, value: bytes, context: bytes) -> bytes:
        nonce = self._random(NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, value, context)

    def open(self, data: bytes, context: bytes) -> bytes:
        try:
            return self._aead.decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], context)
        except InvalidTag:
            raise ValueError("it does not fit the key, or was changed") from None


class _AesCbc:
    """Initialization vector, then ciphertext. Without a proof that nobody changed it."""

    def __init__(self, secret: bytes, random: Random) -> None:
        self._cipher = AES(secret)
        self._random = random

    def seal(self, value: bytes, context: bytes) -> bytes:
        padder = PKCS7(BLOCK_BYTES * 8).padder()
        padded = padder.update(value) + padder.finalize()
        vector = self._random(BLOCK_BYTES)
        encryptor = Cipher(self._cipher, CBC(vector)).encryptor()
        return vector + encryptor.update(padded) + encryptor.finalize()

    def open(self, data: bytes, context: bytes) -> bytes:
        decryptor = Cipher(self._cipher, CBC(data[:BLOCK_BYTES])).decryptor()
        padded = decryptor.update(data[BLOCK_BYTES:]) + decryptor.finalize()
        unpadder = PKCS7(BLOCK_BYTES * 8).unpadder()
        return unpadder.update(padded) + unpadder.finalize()


SEALERS: Final[dict[str, Callable[[bytes, Random], _Sealer]]] = {
    "aesgcm": _AesGcm,
    "aescbc": _AesCbc,
}


class Provider(Protocol):
    def seal(self, key: str, value: bytes) -> bytes: ...

    def open(self, key: str, data: bytes) -> Opened | None:
        """None for data of another provider. Raises StorageError."""
        ...


class KeyedProvider:
    """Seals with its first key, opens with all of them."""

    def __init__(self, kind: str, keys: Sequence[Key], random: Random) -> None:
        """kind: of SEALERS."""
        self._prefix = SEALED + f"{kind}:v1:".encode()
        self._sealers = {key.name.encode(): SEALERS[kind](key.secret, random) for key in keys}
        self._first = keys[0].name.encode()

    def seal(self, key: str, value: bytes) -> bytes:
        sealed = self._sealers[self._first].seal(value, key.encode())
        return b"%b%b:%b" % (self._prefix, self._first, sealed)

    def open(self, key: str, data: bytes) -> Opened | None:
        if not data.startswith(self._prefix):
            return None
        name, _, sealed = data[len(self._prefix) :].partition(b":")
        sealer = self._sealers.get(name)
        if sealer is None:
            raise StorageError(
                f"{key} is encrypted with the key {name.decode('latin-1')!r}, which the encryption "
                "configuration does not hold: add it behind the others"
            )
        try:
            return Opened(sealer.open(sealed, key.encode()), name != self._first)
        except ValueError as error:
            raise StorageError(f"{key} cannot be decrypted: {error}") from error


class IdentityProvider:
    """Values as they are."""

    def seal(self, key: str, value: bytes) -> bytes:
        return value

    def open(self, key: str, data: bytes) -> Opened | None:
        return None if data.startswith(SEALED) else Opened(data, False)


class Transformer:
    """The providers of one resource: the first one writes, all read."""

    def __init__(self, providers: Sequence[Provider]) -> None:
        self._providers = tuple(providers)

    def seal(self, key: str, value: bytes) -> bytes:
        return self._providers[0].seal(key, value)

    def open(self, key: str, data: bytes) -> Opened:
        """Raises StorageError for what no provider reads."""
        for index, provider in enumerate(self._providers):
            opened = provider.open(key, data)
            if opened is not None:
                return Opened(opened.value, opened.is_stale or index > 0)
        how = "is encrypted" if data.startswith(SEALED) else "is not encrypted"
        raise StorageError(
            f"{key} {how}, and no provider of the encryption configuration reads that: "
            "add the one that wrote it behind the others (identity for what is not encrypted)"
        )
