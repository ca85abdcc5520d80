"""Certificates and secret keys as values: what may be encrypted to, what may sign, what decrypts. Part of `openpgp`.

May import: `pysequoia`, our enclave's packets, protection, carrier and self_description, our messages. Invariants: a
`Certificate` holds no secret, and gives itself out for encrypting or signing only while it, and a subkey for that use,
is alive and not revoked; a `SecretKey` opens what was encrypted to it whatever became of its certificate.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from typing import TYPE_CHECKING, Final, NoReturn

import pysequoia

from trollbridge.enclave import carrier, packets, protection, self_description
from trollbridge.enclave.self_signature import Primary, signs_by_hand
from trollbridge.messages import s2k
from trollbridge.messages.errors import DeclaredError, KeyUnusable, NotOpenPGP

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping

    from pysequoia.packet import Packet

    from trollbridge.messages.vault import S2K, Protection

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

    __slots__ = (
        "_cert", "algorithm", "created", "expires", "fingerprint", "handles", "revoked", "subkeys", "user_ids",
        "version",
    )  # fmt: skip

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
            self.version: Final = found[0].body[0]
            self.algorithm: Final = self_description.algorithm(found[0])
            self.subkeys: Final = self_description.subkeys(found)

    @classmethod
    def read(cls, data: bytes) -> tuple[Certificate, ...]:
        """Return the certificates in binary or armored data, at least one; a secret key among them is refused.

        Raises `NotOpenPGP`, or `KeyUnusable` for one without a valid self-signature.
        """
        with strict(NotOpenPGP):
            parts = packets.read(data)
            if packets.has_secret(parts):
                msg = "This is a secret key; only certificates (public keys) are taken here."
                raise NotOpenPGP(msg)
            found = tuple(cls(cert) for cert in pysequoia.Cert.split_bytes(b"".join(map(bytes, parts))))
        if not found:
            raise NotOpenPGP
        return found

    @classmethod
    def stored(cls, binary: bytes) -> Certificate:
        """Return the certificate that `binary()` gave; raises `NotOpenPGP`."""
        with strict(NotOpenPGP):
            return cls(pysequoia.Cert.from_bytes(binary))

    def with_parts(self, parts: Iterable[bytes]) -> Certificate:
        """Return the certificate that consists of these packets; raises `KeyUnusable` if it is another, or none."""
        with strict(KeyUnusable):
            found = Certificate(pysequoia.Cert.from_bytes(b"".join(parts)))
        if found.fingerprint != self.fingerprint:
            raise KeyUnusable
        return found

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

    def check_signs(self) -> None:
        """Raise `KeyUnusable` unless it has a living, unrevoked key for signing; none is used for the answer."""
        self._check_alive()
        with strict(KeyUnusable):
            hollow = pysequoia.Tsk.from_bytes(packets.hollow(packets.parse(self.binary())))
        try:
            hollow.signer()
        except RuntimeError as answer:
            if _LIVING in str(answer):
                return
        msg = "The key has no living subkey to sign with."
        raise KeyUnusable(msg)

    def signer(self, secret: SecretKey) -> pysequoia.PySigner:
        """Return what signs with `secret`, if this, its certificate as it is today, lets it; raises `KeyUnusable`."""
        self._check_alive()
        with strict(KeyUnusable, "The key has no living subkey to sign with, or its secret is not here."):
            return secret.under(self).signer(secret.password())

    def certifier(self, secret: SecretKey) -> pysequoia.PySigner:
        """Return what changes this certificate, expired or not; raises `KeyUnusable`.

        pysequoia gives none for an expired key, so it is asked for the key as it was made, which did not expire.
        """
        with contextlib.suppress(RuntimeError):
            return secret.as_made().certifier(secret.password())
        with strict(KeyUnusable, "The secret half of the primary key is not here, or the key is expired."):
            return secret.under(self).certifier(secret.password())

    def is_over(self) -> bool:
        """Return whether it is revoked or expired."""
        return self.revoked or (self.expires is not None and self.expires <= dt.datetime.now(dt.UTC).timestamp())

    def _check_alive(self) -> None:
        if self.is_over():
            msg = "The key is revoked." if self.revoked else "The key is expired."
            raise KeyUnusable(msg)


class SecretKey:
    """A transferable secret key as it was made. It shows nothing; the one way out is `binary`.

    Its packets are under a password which is asked for at each use, so that nothing in here opens them; only Sequoia
    ever has the secret in clear, and under its own encryption but while it works with it.
    """

    __slots__ = ("_joined", "_packets", "_password")

    def __init__(self, binary: bytes, password: Callable[[], str | None] | None = None) -> None:
        """Take what `binary` gave, and what tells the password; None for a key that no password protects.

        Raises `NotOpenPGP`.
        """
        with strict(NotOpenPGP):
            found = packets.parse(binary)
            if not packets.has_secret(found):
                raise NotOpenPGP
            self._packets: Final = found
        self._password: Final = password
        self._joined: tuple[Certificate, pysequoia.Tsk] | None = None

    @property
    def fingerprint(self) -> str:
        """The primary key's fingerprint."""
        return self._packets[0].fingerprint or ""

    def password(self) -> str | None:
        """Return the password, None for a key without one."""
        return None if self._password is None else self._password()

    def binary(self) -> bytes:
        """Return the secret key itself, for the sealed record and for nothing else."""
        return b"".join(map(bytes, self._packets))

    def as_made(self) -> pysequoia.Tsk:
        """Return the key with the signatures that it was made or imported with."""
        return pysequoia.Tsk.from_packets(self._packets)

    def locks(self) -> tuple[S2K, ...]:
        """Return what its password is stretched with; empty if no password protects it."""
        return protection.locks(self._packets)

    def keys(self) -> dict[S2K, bytes]:
        """Return its own password, stretched for each lock."""
        password = self.password()
        return {} if password is None else {lock: s2k.stretch(password, lock) for lock in self.locks()}

    def protected(self, under: Protection, keys: Mapping[S2K, bytes] | None = None) -> bytes:
        """Return the key under another password, in binary; `keys` are stretched passwords, by default its own.

        Raises `WrongPassword` or `NotOpenPGP` as `protection.revealed`.
        """
        return b"".join(protection.protected_again(self._packets, self.keys() if keys is None else keys, under))

    def has_primary(self) -> bool:
        """Return whether the primary key's secret is here."""
        packet = self._packets[0]
        return packet.tag in packets.SECRET and not protection.is_stub(packet)

    def primary(self) -> Primary | None:
        """Return what makes self-signatures by hand, None if this key cannot; raises as `protected`."""
        packet = self._packets[0]
        if not self.has_primary() or not signs_by_hand(packet):
            return None
        secret = protection.revealed(packet, self.keys())
        try:
            return Primary(packet, secret)
        finally:
            protection.wipe(secret)

    def under(self, certificate: Certificate) -> pysequoia.Tsk:
        """Return the key with the signatures of `certificate`, which decide what it may do."""
        if self._joined is None or self._joined[0] is not certificate:
            self._joined = (certificate, pysequoia.Tsk.from_packets(self.rejoined(certificate)))
        return self._joined[1]

    def rejoined(self, certificate: Certificate) -> list[Packet]:
        """Return the packets of `under`."""
        return packets.rejoined(self._packets, packets.parse(certificate.binary()))

    def decryptors(self, handles: frozenset[str] = frozenset()) -> Iterator[pysequoia.PyDecryptor]:
        """Yield one for each subkey that decrypts; of those with one of these `handles` only, if there are any."""
        for binary in self.carried(handles):
            with contextlib.suppress(RuntimeError):
                yield pysequoia.Tsk.from_bytes(binary).decryptor(self.password())

    def carried(self, handles: frozenset[str] = frozenset()) -> Iterator[bytes]:
        """Yield a transferable secret key for each subkey that decrypts; see `carrier`."""
        for packet in packets.decrypting(self._packets):
            if not handles or not handles.isdisjoint((packet.fingerprint, packet.key_id)):
                yield carrier.carried(packet)

    def __repr__(self) -> str:
        """Show nothing."""
        return "<SecretKey>"

    def _refuse(self, *_: object) -> NoReturn:
        msg = "a secret key cannot be copied or pickled"
        raise TypeError(msg)

    __reduce_ex__ = __copy__ = __deepcopy__ = _refuse
