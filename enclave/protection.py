"""Secret keys under a password: read what others protected, protect what is ours (RFC 9580, sections 3.7 and 5.5.3).

May import: `cryptography`, our enclave's packets, our messages; pysequoia protects nothing, so this module does.
Invariants: a secret in clear is held in a buffer that is wiped; a secret that was not protected as its checksum says is
never handed on; the public part stays as it was, octet for octet, and is the one that the fingerprint names.

    unprotected  public part || 0 || secret || sum of its octets, 2 octets (version 4 only)
    protected    public part || 254 || parameters || CFB(key, IV, secret || SHA-1(secret))
    parameters   [their length (version 6)] || cipher || [length of the specifier (6)] || specifier || IV

What is written is usage 254 with AES-256, which GnuPG 2.2 and Sequoia read alike, in version 4 and 6. Usage 255 (an
older checksum) is read too. Usage 253 (an AEAD) and the ciphers before AES are not.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from typing import TYPE_CHECKING, Final, NamedTuple

from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

from trollbridge.enclave.packets import SECRET, framed, number_of, public_size
from trollbridge.messages import s2k as s2k_
from trollbridge.messages.errors import NotOpenPGP, WrongPassword
from trollbridge.messages.vault import S2K, Protection

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pysequoia.packet import Packet

_CLEAR: Final = 0
_SHA1: Final = 254
_SUM: Final = 255
_AES256: Final = 9
_KEY_SIZES: Final = {7: 16, 8: 24, _AES256: 32}
_VERSION_6: Final = 6
_BLOCK: Final = 16
_STUB: Final = 101
"""GnuPG's own specifier: the secret is somewhere else, on a card or on another machine."""
_SPECIFIER_SIZES: Final = {s2k_.SIMPLE: 2, s2k_.SALTED: 10, s2k_.ITERATED: 11, s2k_.ARGON2: 20}
_UNREADABLE: Final = "The key is protected in a way that is not read here; give it a new password where it was made."


class Lock(NamedTuple):
    """What protects a secret: how its key is made, and what that key opens."""

    s2k: S2K
    usage: int
    iv: bytes
    ciphertext: bytes


def vault_protection(password: str) -> Protection:
    """Return a fresh protection under a password of 256 random bits: salted and hashed once.

    Stretching serves passwords that can be guessed. This one cannot; it is there so that a key in use is held by
    Sequoia under encryption, and it is applied anew at each use.
    """
    s2k = S2K(s2k_.SALTED, s2k_.SHA256, os.urandom(s2k_.SALT_SIZE), 0, 0, 0, 0, s2k_.KEY_SIZE)
    return Protection(s2k, s2k_.stretch(password, s2k))


def check_given(protection: Protection) -> None:
    """Raise `NotOpenPGP` unless a caller's protection is stretched as `s2k.new_protection` does, at the least."""
    s2k = protection.s2k
    if (s2k.method, s2k.hash, s2k.count) != (s2k_.ITERATED, s2k_.SHA256, s2k_.MOST_OCTETS):
        msg = (
            "A password for an OpenPGP key is to be stretched by SHA-256, iterated as often as can be said and salted."
        )
        raise NotOpenPGP(msg)


def _specifier(s2k: S2K) -> bytes:
    """Return the octets of a specifier that can be written here: salted, or iterated and salted."""
    head = bytes([s2k.method, s2k.hash]) + s2k.salt
    if s2k.method == s2k_.SALTED:
        return head
    if s2k.method != s2k_.ITERATED or s2k.count not in _COUNTS:
        msg = "A password for an OpenPGP key is to be iterated and salted."
        raise NotOpenPGP(msg)
    return head + bytes([_COUNTS[s2k.count]])


def _count(coded: int) -> int:
    return (16 + (coded & 15)) << ((coded >> 4) + 6)


_COUNTS: Final = {_count(coded): coded for coded in range(256)}


def _parsed_specifier(octets: bytes, size: int) -> S2K:
    method = octets[0]
    if len(octets) != _SPECIFIER_SIZES.get(method):
        raise NotOpenPGP(_UNREADABLE)
    if method == s2k_.ARGON2:
        passes, lanes, exponent = octets[17:]
        s2k = S2K(method, 0, octets[1:17], 0, passes, lanes, 1 << min(exponent, 31), size)
    else:
        count = _count(octets[10]) if method == s2k_.ITERATED else 0
        s2k = S2K(method, octets[1], octets[2:10], count, 0, 0, 0, size)
    s2k_.check(s2k)
    return s2k


def _tail(packet: Packet) -> bytes:
    body = packet.body
    return body[public_size(packet) :]


def is_stub(packet: Packet) -> bool:
    """Return whether the packet only says that its secret is somewhere else."""
    tail = _tail(packet)
    at = 4 if packet.body[0] == _VERSION_6 else 2
    return tail[:1] in {bytes([_SHA1]), bytes([_SUM])} and tail[at : at + 1] == bytes([_STUB])


def lock_of(packet: Packet) -> Lock | None:
    """Return what protects a secret packet, None if nothing does; raises `NotOpenPGP` for what is not read here."""
    try:
        return _lock(_tail(packet), version_6=packet.body[0] == _VERSION_6)
    except (IndexError, ValueError):  # cut off
        raise NotOpenPGP(_UNREADABLE) from None


def _lock(tail: bytes, *, version_6: bool) -> Lock | None:
    usage = tail[0]
    if usage == _CLEAR:
        return None
    size = _KEY_SIZES.get(tail[2 if version_6 else 1])
    if size is None or usage not in ({_SHA1} if version_6 else {_SHA1, _SUM}):
        raise NotOpenPGP(_UNREADABLE)
    at = 4 if version_6 else 2
    length = tail[3] if version_6 else _SPECIFIER_SIZES.get(tail[2], 0)
    iv_at = at + length
    return Lock(_parsed_specifier(tail[at:iv_at], size), usage, tail[iv_at : iv_at + _BLOCK], tail[iv_at + _BLOCK :])


def locks(found: Iterable[Packet]) -> tuple[S2K, ...]:
    """Return each specifier among the secret packets once, in the order in which they come."""
    each = (lock_of(packet) for packet in found if packet.tag in SECRET and not is_stub(packet))
    return tuple(dict.fromkeys(lock.s2k for lock in each if lock is not None))


def _decrypted(lock: Lock, key: bytes) -> bytearray:
    if len(key) != lock.s2k.size or len(lock.iv) != _BLOCK:
        raise WrongPassword(_WRONG)
    size = len(lock.ciphertext)
    found = bytearray(size + _BLOCK)
    Cipher(algorithms.AES(key), CFB(lock.iv)).decryptor().update_into(lock.ciphertext, found)
    del found[size:]
    return found


_WRONG: Final = "The password does not unlock the key."


def _sum(secret: bytes | bytearray | memoryview) -> bytes:
    return (sum(secret) & 0xFFFF).to_bytes(2, "big")


def revealed(packet: Packet, keys: Mapping[S2K, bytes]) -> bytearray:
    """Return the secret of a packet in clear, in a buffer that the caller wipes; `keys` are stretched passwords.

    Raises `WrongPassword` if no key fits, `NotOpenPGP` for what is not read here.
    """
    lock = lock_of(packet)
    if lock is None:
        tail = bytearray(_tail(packet))
        del tail[0]
        check = b"" if packet.body[0] == _VERSION_6 else _sum(memoryview(tail)[:-2])
        failure: NotOpenPGP | WrongPassword = NotOpenPGP()
    else:
        key = keys.get(lock.s2k)
        if key is None:
            raise WrongPassword(_WRONG)
        tail = _decrypted(lock, key)
        content = memoryview(tail)
        check = (
            hashlib.sha1(content[:-20], usedforsecurity=False).digest() if lock.usage == _SHA1 else _sum(content[:-2])
        )
        content.release()
        failure = WrongPassword(_WRONG)
    end = len(tail) - len(check)
    if end < 1 or not hmac.compare_digest(tail[end:], check):
        wipe(tail)
        raise failure
    tail[end:] = b""
    return tail


def wipe(buffer: bytearray) -> None:
    """Overwrite a buffer with zeros."""
    buffer[:] = bytes(len(buffer))


def protected(packet: Packet, secret: bytearray, protection: Protection) -> bytes:
    """Return the packet with this secret under a password; raises `NotOpenPGP` for a protection that does not fit."""
    specifier = _specifier(protection.s2k)
    s2k_.check(protection.s2k)
    if protection.s2k.size != s2k_.KEY_SIZE or len(protection.key) != s2k_.KEY_SIZE:
        raise NotOpenPGP
    iv = os.urandom(_BLOCK)
    encryptor = Cipher(algorithms.AES(protection.key), CFB(iv)).encryptor()
    digest = hashlib.sha1(secret, usedforsecurity=False).digest()
    parameters = bytes([_AES256]) + specifier + iv
    if packet.body[0] == _VERSION_6:
        parameters = bytes([_AES256, len(specifier)]) + specifier + iv
        parameters = bytes([len(parameters)]) + parameters
    public = packet.body[: public_size(packet)]
    body = b"".join([public, bytes([_SHA1]), parameters, encryptor.update(secret), encryptor.update(digest)])
    return framed(number_of(packet.tag), body)


def protected_again(found: Sequence[Packet], keys: Mapping[S2K, bytes], protection: Protection) -> Iterator[bytes]:
    """Yield the packets of a transferable secret key with every secret under `protection`; raises as `revealed`.

    A stub becomes the public key that it stands for.
    """
    for packet in found:
        if packet.tag not in SECRET:
            yield bytes(packet)
        elif is_stub(packet):
            yield framed(number_of(packet.tag, public=True), packet.body[: public_size(packet)])
        else:
            secret = revealed(packet, keys)
            try:
                yield protected(packet, secret, protection)
            finally:
                wipe(secret)
