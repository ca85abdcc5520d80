"""Certificates and secret keys as values: what may be encrypted to, what may sign, what decrypts. Part of `openpgp`.

May import: `pysequoia`, our enclave's packets, our messages. Invariants: a `Certificate` holds no secret, and gives
itself out for encrypting or signing only while it, and a subkey for that use, is alive and not revoked; a `SecretKey`
is kept as it was made, so that what was encrypted to it can be opened whatever became of its certificate.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from typing import TYPE_CHECKING, Final, NoReturn

import pysequoia

from trollbridge.enclave import packets
from trollbridge.messages.errors import DeclaredError, KeyUnusable, NotOpenPGP

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from pysequoia.packet import Packet

_LIVING: Final = "secret key material is encrypted"
"""How pysequoia words that a hollow key has a living subkey for the use. Any other answer counts as a no."""


@contextlib.contextmanager
def strict(error: type[DeclaredError], text: str = "") -> Generator[None]:
    """Let our own errors pass; turn whatever else pysequoia raises, panics included, into `error`."""
    try:
        yield
    except (DeclaredError, MemoryError):
        raise
    except Exception:  # noqa: BLE001  # RuntimeError, OSError, ValueError, TypeError: it has no error type of its own
        raise error(text) from None
    except BaseException as problem:
        if type(problem).__module__ != "pyo3_runtime":
            raise
        raise error(text) from None


class Certificate:
    """A public key with its user ids and the signatures that bind them. Never a secret."""

    __slots__ = ("_cert", "created", "expires", "fingerprint", "handles", "revoked", "user_ids")

    def __init__(self, cert: pysequoia.Cert) -> None:
        """Read what today's policy accepts of it; raises `KeyUnusable` if that is nothing."""
        with strict(KeyUnusable, "The certificate has no self-signature that is valid by today's rules."):
            found = packets.parse(bytes(cert))
            created, expires = found[0].key_created, cert.expiration
            self._cert: Final = cert
            self.fingerprint: Final = cert.fingerprint
            self.user_ids: Final = tuple(str(each) for each in cert.user_ids)
            self.handles: Final = frozenset(packets.handles(found))
            self.created: Final = 0 if created is None else int(created.timestamp())
            self.expires: Final = None if expires is None else int(expires.timestamp())
            self.revoked: Final = cert.is_revoked

    @classmethod
    def read(cls, data: bytes) -> tuple[Certificate, ...]:
        """Return the certificates in binary or armored data, at least one; a secret key among them is refused.

        Raises `NotOpenPGP`, or `KeyUnusable` for one without a valid self-signature.
        """
        with strict(NotOpenPGP):
            if packets.has_secret(packets.parse(data)):
                msg = "This is a secret key; only certificates (public keys) are taken here."
                raise NotOpenPGP(msg)
            found = tuple(cls(cert) for cert in pysequoia.Cert.split_bytes(data))
        if not found:
            raise NotOpenPGP
        return found

    @classmethod
    def stored(cls, binary: bytes) -> Certificate:
        """Return the certificate that `binary()` gave; raises `NotOpenPGP`."""
        with strict(NotOpenPGP):
            return cls(pysequoia.Cert.from_bytes(binary))

    def merged(self, other: Certificate) -> Certificate:
        """Return the certificate with what both know, revocations included; raises `KeyUnusable` for another key's."""
        with strict(KeyUnusable):
            return Certificate(self._cert.merge(other._cert))

    def binary(self) -> bytes:
        """Return the binary form."""
        return bytes(self._cert)

    def armored(self) -> bytes:
        """Return the ASCII-armored form."""
        return str(self._cert).encode()

    def witness(self) -> pysequoia.Cert:
        """Return it for checking signatures; Sequoia judges each by the key's standing when it was made."""
        return self._cert

    def recipient(self) -> pysequoia.Cert:
        """Return it for encrypting; raises `KeyUnusable` unless it has a living, unrevoked key for that."""
        self._check_alive()
        with strict(KeyUnusable):
            hollow = pysequoia.Tsk.from_bytes(packets.hollow(packets.parse(self.binary())))
        try:
            hollow.decryptor()
        except RuntimeError as answer:
            if _LIVING in str(answer):
                return self._cert
        msg = "The recipient's key has no living subkey to encrypt to."
        raise KeyUnusable(msg)

    def signer(self, secret: SecretKey) -> pysequoia.PySigner:
        """Return what signs with `secret`, if this, its certificate as it is today, lets it; raises `KeyUnusable`."""
        self._check_alive()
        with strict(KeyUnusable):
            return secret.under(self).signer()

    def _check_alive(self) -> None:
        now = dt.datetime.now(dt.UTC).timestamp()
        if self.revoked:
            msg = "The key is revoked."
            raise KeyUnusable(msg)
        if self.expires is not None and self.expires <= now:
            msg = "The key is expired."
            raise KeyUnusable(msg)


class SecretKey:
    """A transferable secret key as it was made, without an expiry. It shows nothing; the one way out is `binary`."""

    __slots__ = ("_decryptors", "_joined", "_packets")

    def __init__(self, binary: bytes) -> None:
        """Take what `binary` gave; raises `NotOpenPGP`.

        The bytes are not kept: in its packets Sequoia holds the secrets encrypted, but while it works with them.
        """
        with strict(NotOpenPGP):
            found = packets.parse(binary)
            if not packets.has_secret(found):
                raise NotOpenPGP
            self._packets: Final = found
            self._decryptors: Final = tuple(_decryptors(found))
        self._joined: tuple[Certificate, pysequoia.Tsk] | None = None

    def binary(self) -> bytes:
        """Return the secret key itself, for the sealed record and for nothing else."""
        return b"".join(map(bytes, self._packets))

    def under(self, certificate: Certificate) -> pysequoia.Tsk:
        """Return the key with the signatures of `certificate`, which decide what it may do."""
        if self._joined is None or self._joined[0] is not certificate:
            today = packets.parse(certificate.binary())
            self._joined = (certificate, pysequoia.Tsk.from_packets(packets.rejoined(self._packets, today)))
        return self._joined[1]

    def decryptors(self) -> tuple[pysequoia.PyDecryptor, ...]:
        """Return one for each subkey that decrypts."""
        return self._decryptors

    def __repr__(self) -> str:
        """Show nothing."""
        return "<SecretKey>"

    def _refuse(self, *_: object) -> NoReturn:
        msg = "a secret key cannot be copied or pickled"
        raise TypeError(msg)

    __reduce_ex__ = __copy__ = __deepcopy__ = _refuse


def _decryptors(secret: Sequence[Packet]) -> Iterator[pysequoia.PyDecryptor]:
    for part in packets.one_subkey_each(secret):
        with contextlib.suppress(RuntimeError):  # a subkey for another use
            yield pysequoia.Tsk.from_packets(part).decryptor()
