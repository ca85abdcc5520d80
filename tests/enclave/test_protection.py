"""Secret keys under a password: what is written Sequoia reads, what is changed nobody does, and no secret shows."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final

import pysequoia
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.enclave import keys
from trollbridge.enclave import openpgp, packets, protection
from trollbridge.enclave.certificate import SecretKey
from trollbridge.messages import s2k
from trollbridge.messages.errors import NotOpenPGP, WrongPassword
from trollbridge.messages.vault import PROFILES, S2K, Protection

if TYPE_CHECKING:
    from pysequoia.packet import Packet

KINDS: Final = (*PROFILES, "rsa", "nist")
_SUITES: Final = {"rsa": pysequoia.CipherSuite.RSA2k, "nist": pysequoia.CipherSuite.P256}


@functools.cache
def unprotected(kind: str) -> bytes:
    """Return a key of a kind as pysequoia makes it."""
    if kind in PROFILES:
        return openpgp.generate("Alice", kind).secret.binary()
    return bytes(pysequoia.Tsk.generate("Alice", cipher_suite=_SUITES[kind]))


def secrets(found: list[Packet]) -> list[Packet]:
    """Return the secret packets."""
    return [each for each in found if each.tag in packets.SECRET]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("by", ["vault", "person"])
def test_sequoia_opens_what_was_protected_here(kind: str, by: str) -> None:
    """A23, A24: with the password, and with no other; and no secret number stands in it any more."""
    clear = packets.parse(unprotected(kind))
    made = s2k.new_protection("password") if by == "person" else protection.vault_protection("password")
    binary = b"".join(protection.protected_again(clear, {}, made))
    tsk = pysequoia.Tsk.from_bytes(binary)
    cert = tsk.extract_certificate()
    message = pysequoia.encrypt(b"data", recipients=[cert], signer=tsk.signer("password"))

    def known(_: list[str]) -> list[pysequoia.Cert]:
        return [cert]

    opened = pysequoia.decrypt(message, decryptor=tsk.decryptor("password"), store=known)
    assert (opened.bytes, len(opened.valid_sigs)) == (b"data", 1)
    for password in ("Password", None):
        with pytest.raises(RuntimeError):
            tsk.signer(password)
    for packet in secrets(clear):
        secret = bytes(protection.revealed(packet, {}))
        assert len(secret) >= 32
        assert secret[-16:] in bytes(packet)
        assert secret[-16:] not in binary


@pytest.mark.parametrize("kind", KINDS)
def test_a_password_comes_off_again(kind: str) -> None:
    """What was in clear, and nothing else; the fingerprints stay."""
    clear = packets.parse(unprotected(kind))
    made = keys.protection("password")
    again = packets.parse(b"".join(protection.protected_again(clear, {}, made)))
    assert [each.fingerprint for each in again] == [each.fingerprint for each in clear]
    assert protection.locks(again) == (made.s2k,)
    assert protection.locks(clear) == ()
    for mine, theirs in zip(secrets(again), secrets(clear), strict=True):
        assert protection.revealed(mine, {made.s2k: made.key}) == protection.revealed(theirs, {})


@given(place=st.integers(0, 10**6), change=st.integers(1, 255), kind=st.sampled_from(KINDS))
def test_a_changed_packet_gives_no_secret(place: int, change: int, kind: str) -> None:
    """Whichever byte it is: refused, or the fingerprint is another one, so it is another key (A46)."""
    made = keys.protection("password")
    first = packets.parse(b"".join(protection.protected_again(packets.parse(unprotected(kind)), {}, made)))[0]
    body = bytearray(first.body)
    body[place % len(body)] ^= change
    with pytest.raises((NotOpenPGP, WrongPassword)):  # noqa: PT012  # what Sequoia does not parse is refused too
        try:
            (changed,) = packets.parse(packets.framed(5, bytes(body)))
        except RuntimeError:
            raise NotOpenPGP from None
        if changed.fingerprint != first.fingerprint:
            raise NotOpenPGP
        locks = protection.locks([changed])
        protection.revealed(changed, dict(zip(locks, keys.stretched("password", locks), strict=True)))


def test_a_wrong_or_missing_password_is_said_to_be_wrong() -> None:
    """Of any size."""
    made = keys.protection("password")
    key = SecretKey(b"".join(protection.protected_again(packets.parse(unprotected("default")), {}, made)))
    for given_keys in ({}, {made.s2k: bytes(32)}, {made.s2k: made.key[:16]}, {made.s2k: b""}):
        with pytest.raises(WrongPassword):
            key.protected(made, given_keys)


@pytest.mark.parametrize(
    "made",
    [
        Protection(S2K(s2k.SIMPLE, 8, b"", 0, 0, 0, 0, 32), bytes(32)),
        Protection(S2K(s2k.ARGON2, 0, bytes(16), 0, 3, 4, 64, 32), bytes(32)),
        Protection(S2K(s2k.ITERATED, 8, bytes(8), 1025, 0, 0, 0, 32), bytes(32)),
        Protection(S2K(s2k.ITERATED, 8, bytes(8), 1024, 0, 0, 0, 16), bytes(16)),
        Protection(S2K(s2k.ITERATED, 8, bytes(8), 1024, 0, 0, 0, 32), bytes(31)),
        Protection(S2K(s2k.ITERATED, 99, bytes(8), 1024, 0, 0, 0, 32), bytes(32)),
        Protection(S2K(s2k.ITERATED, 8, bytes(9), 1024, 0, 0, 0, 32), bytes(32)),
    ],
)
def test_a_protection_that_cannot_be_written_is_refused(made: Protection) -> None:
    """It comes from a caller: methods, counts and sizes that the packet does not hold."""
    with pytest.raises(NotOpenPGP):
        SecretKey(unprotected("default")).protected(made, {})


def _tail(packet: Packet, tail: bytes) -> Packet:
    """Return a secret packet with another protection."""
    body = packet.body[: packets.public_size(packet)] + tail
    return packets.parse(packets.framed(5, body))[0]


@pytest.mark.parametrize(
    "tail",
    [
        bytes([9]) + bytes(16 + 40),  # a cipher's number for the usage: MD5, as in the nineties
        bytes([254, 3, 3, 8]) + bytes(8) + b"\x60" + bytes(8 + 40),  # CAST5
        bytes([254, 9, 3, 1]) + bytes(8) + b"\x60" + bytes(16 + 40),  # MD5
        bytes([253, 9, 2, 3, 8]) + bytes(8) + b"\x60" + bytes(15 + 48),  # an AEAD
    ],
)
def test_a_protection_that_is_not_read_here_is_named(tail: bytes) -> None:
    """With a sentence that says what helps."""
    packet = _tail(packets.parse(unprotected("default"))[0], tail)
    with pytest.raises(NotOpenPGP, match="not read here"):
        protection.lock_of(packet)
    with pytest.raises(NotOpenPGP, match="not read here"):
        protection.revealed(packet, {})


def test_a_stub_of_gnupg_becomes_the_public_key_that_it_stands_for() -> None:
    """Its secret is on a card, or on the machine of the primary key."""
    found = packets.parse(unprotected("default"))
    stub = _tail(found[0], bytes([255, 0, 101, 2]) + b"GNU\x01")
    assert protection.is_stub(stub)
    assert protection.locks([stub]) == ()
    (made,) = protection.protected_again([stub], {}, keys.protection("password"))
    (public,) = packets.parse(made)
    assert (public.tag, public.fingerprint) == (packets.PUBLIC[0], found[0].fingerprint)
