"""A message's key out of what is encrypted to one of ours: each kind of key, and everything that does not fit."""

from __future__ import annotations

import os
import zlib
from hashlib import sha1
from typing import TYPE_CHECKING, Final

import pysequoia
import pytest
from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from pysequoia.packet import Tag

from trollbridge.enclave import compat, nested, openpgp, packets, protection
from trollbridge.enclave.certificate import Certificate, SecretKey
from trollbridge.enclave.openpgp import Opener, Signing
from trollbridge.enclave.session_key import KEY_SIZES, SessionKey, session_key
from trollbridge.messages.errors import BadSignature
from trollbridge.messages.vault import INLINE

if TYPE_CHECKING:
    from pysequoia.packet import Packet

TEXT: Final = b"written here"
LENGTH: Final = {1: (10, 11), 18: (10, 11)}
"""Where a number's size in bits stands: what it says beyond the octets does not count."""
KINDS: Final = {
    "Curve25519": (pysequoia.Profile.RFC4880, pysequoia.CipherSuite.Cv25519),
    "X25519 of version 6": (pysequoia.Profile.RFC9580, pysequoia.CipherSuite.Cv25519),
    "RSA": (pysequoia.Profile.RFC4880, pysequoia.CipherSuite.RSA2k),
}


@pytest.fixture(scope="module", params=list(KINDS))
def ours(request: pytest.FixtureRequest) -> Signing:
    """Make a key of each kind that pysequoia makes, to which version 1 of the encrypted packet is written."""
    profile, suite = KINDS[request.param]
    made = pysequoia.Tsk.generate("Otto", profile=profile, cipher_suite=suite)
    made = pysequoia.Tsk.from_bytes(compat.without_seipd2(bytes(made)))
    return Signing(SecretKey(bytes(made)), Certificate(made.extract_certificate()))


def decrypting(key: Signing) -> tuple[Packet, bytearray]:
    """Return the subkey that decrypts, and its secret in clear."""
    (packet,) = packets.decrypting(packets.parse(key.secret.binary()))
    return packet, protection.revealed(packet, {})


def found(message: bytes, key: Signing) -> SessionKey:
    """Return the key of a message."""
    made = session_key(packets.parse(message)[0].body, *decrypting(key))
    assert made is not None
    return made


def holding(message: bytes, session: SessionKey, inside: bytes) -> bytes:
    """Return a message to whom `message` is for, under the same key, that holds something else."""
    start = os.urandom(16)
    covered = start + start[-2:] + inside + b"\xd3\x14"
    plain = covered + sha1(covered, usedforsecurity=False).digest()
    sealed = Cipher(algorithms.AES(session.key), CFB(bytes(16))).encryptor().update(plain)
    first = packets.parse(message)[0]
    return bytes(first) + packets.framed(18, b"\1" + sealed)


def test_the_key_is_found_for_each_kind_of_key(ours: Signing) -> None:
    """Put under it again, compressed, a signed message is opened and checked; and one that is changed is not (A23)."""
    message = openpgp.encrypt(TEXT, [ours.certificate], armored=False)
    assert [each.tag for each in packets.parse(message)] == [Tag.PKESK, Tag.SEIP]
    session = found(message, ours)
    signed = openpgp.sign(ours, TEXT, INLINE, armored=False)

    def put(content: bytes) -> bytes:
        return holding(message, session, packets.framed(8, b"\2" + zlib.compress(content)))

    def opened(content: bytes) -> openpgp.Report:
        return Opener().decrypt(put(content), [("", ours.secret, None)], lambda _: [ours.certificate])[1]

    assert nested.signed_inside(put(signed), ours.secret) == signed
    report = opened(signed)
    assert (report.content, [each.certificate for each in report.valid]) == (TEXT, [ours.certificate.fingerprint])
    with pytest.raises(BadSignature, match="1 of 1"):
        opened(signed.replace(TEXT, TEXT.upper()))


def test_what_does_not_fit_is_none(ours: Signing) -> None:
    """Cut off at each byte, each byte changed, longer, another version, another algorithm, another key (A30, A46)."""
    message = openpgp.encrypt(TEXT, [ours.certificate], armored=False)
    right = found(message, ours)
    body = packets.parse(message)[0].body
    packet, secret = decrypting(ours)
    cut = [body[:at] for at in range(len(body))]
    assert {session_key(each, packet, secret) for each in [*cut, b"\6" + body[1:], body + b"\0"]} == {None}
    for algorithm in set(range(256)) - {body[9]}:
        other = session_key(body[:9] + bytes([algorithm]) + body[10:], packet, secret)
        assert other is None
    passed = [
        at
        for at in range(len(body))
        if session_key(body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :], packet, secret) == right
    ]
    named = range(1, 9)  # whom it is for is the caller's to look at
    assert set(passed) <= {*named, *LENGTH.get(body[9], ())}
    stranger = openpgp.generate("Nobody")
    assert session_key(body, *decrypting(stranger)) is None


def to_rsa(octets: bytes, key: Packet) -> bytes:
    """Return the body of a packet that holds these octets, for an RSA key."""
    size = (int.from_bytes(key.body[6:8], "big") + 7) // 8
    modulus = int.from_bytes(key.body[8 : 8 + size], "big")
    filled = b"\0\2" + b"\xff" * (size - 3 - len(octets)) + b"\0" + octets
    made = pow(int.from_bytes(filled, "big"), 65537, modulus)
    number = made.bit_length().to_bytes(2, "big") + made.to_bytes((made.bit_length() + 7) // 8, "big")
    return b"\3" + bytes.fromhex(key.key_id or "") + b"\1" + number


def test_what_is_inside_has_a_cipher_a_key_and_their_sum() -> None:
    """And nothing else: put together by hand, for an RSA key (A46)."""
    made = pysequoia.Tsk.generate("Otto", cipher_suite=pysequoia.CipherSuite.RSA2k)
    packet, secret = decrypting(Signing(SecretKey(bytes(made)), Certificate(made.extract_certificate())))
    for cipher, size in KEY_SIZES.items():
        key = bytes(range(size))
        total = sum(key).to_bytes(2, "big")
        right = bytes([cipher]) + key + total
        assert session_key(to_rsa(right, packet), packet, secret) == SessionKey(cipher, key)
        summed_wrong = bytes([cipher]) + key + bytes([total[0], total[1] ^ 1])
        for wrong in (summed_wrong, right + b"\0", right + b"\1", right[:-1], b"\2" + right[1:], right[1:], b"\7", b""):
            assert session_key(to_rsa(wrong, packet), packet, secret) is None


def test_it_shows_nothing() -> None:
    """Not in a repr, so in no log and no error (A24)."""
    assert repr(SessionKey(9, b"k" * 32)) == "SessionKey(…)"
