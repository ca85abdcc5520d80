"""Keys as SPEC sections 2 to 4 and 10 derive them: labels, chains, prologues, the handshake, sealed results.

No code of ours; the handshake itself is the `noiseprotocol` package's.
"""

from __future__ import annotations

import hashlib
import warnings
from operator import attrgetter
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from noise.connection import Keypair, NoiseConnection  # type: ignore[import-untyped]

VERSION: Final = 1
PROTOCOL: Final = b"Noise_NNpsk0_25519_AESGCM_BLAKE2b"
_SEND_KEY: Final = attrgetter("noise_protocol.cipher_state_encrypt.k")
_RECEIVE_KEY: Final = attrgetter("noise_protocol.cipher_state_decrypt.k")


def number(value: int, size: int = 8) -> bytes:
    """Return a big-endian integer of `size` bytes."""
    return value.to_bytes(size, "big")


def derive(label: str, key: bytes, *parts: bytes) -> bytes:
    """Return D(label, key, parts…), 32 bytes."""
    data = b"".join(number(len(part)) + part for part in parts)
    return hashlib.blake2b(data, digest_size=32, key=key, person=label.encode()).digest()


def two(label: str, key: bytes) -> bytes:
    """Return W(label, key), 64 bytes."""
    return hashlib.blake2b(b"", digest_size=64, key=key, person=label.encode()).digest()


def step(chain: bytes) -> tuple[bytes, bytes]:
    """Return the next chain key and the message key."""
    both = two("tb1 chain step", chain)
    return both[:32], both[32:]


def ratchet(seed: bytes) -> tuple[bytes, bytes]:
    """Return the next seed and the address."""
    both = two("tb1 address", seed)
    return both[:32], both[32:48]


def prologue(epoch: int, initiator: tuple[str, str], responder: tuple[str, str]) -> bytes:
    """Return the prologue of a handshake between two members, each with its role."""
    names = [name.encode() for name in (*initiator, *responder)]
    return derive("tb1 prologue", b"", bytes([VERSION]), number(epoch), *names)


def direction(epoch: int, sender: str, receiver: str, *, forward: bool) -> bytes:
    """Return the context of one direction of a session; `forward`: the sender is the client."""
    return derive("tb1 context", b"", bytes([VERSION, forward]), number(epoch), sender.encode(), receiver.encode())


def padded(length: int) -> int:
    """Return the padded length of a plaintext."""
    if length <= 128:
        return 128
    e = length.bit_length() - 1
    step_size = 1 << (e - e.bit_length())
    return -(-length // step_size) * step_size


def fingerprint(key: bytes, epoch: int) -> bytes:
    """Return the fingerprint of a ring key."""
    return derive("tb1 ring print", key, number(epoch))[:8]


def asked(arguments: bytes) -> bytes:
    """Return what stands in a sensitive result for the encoded arguments that it was asked for with."""
    return derive("tb1 ring asked", b"", arguments)


def sealed_result(key: bytes, epoch: int, handler: str, salt: bytes, what: bytes, result: bytes) -> bytes:  # noqa: PLR0913, PLR0917  # as many as the page says
    """Return the ciphertext of a sensitive result."""
    associated = number(epoch) + handler.encode()
    one_time = derive("tb1 ring reply", key, salt, associated)
    plaintext = (what + number(len(result), 4) + result).ljust(padded(36 + len(result)), b"\0")
    return AESGCM(one_time).encrypt(bytes(12), plaintext, associated)


def open_result(key: bytes, epoch: int, handler: str, salt: bytes, ciphertext: bytes) -> tuple[bytes, bytes]:
    """Return what was asked for, and the result; raises `InvalidTag` if it is not of this key, epoch and handler."""
    associated = number(epoch) + handler.encode()
    one_time = derive("tb1 ring reply", key, salt, associated)
    plaintext = AESGCM(one_time).decrypt(bytes(12), ciphertext, associated)
    end = 36 + int.from_bytes(plaintext[32:36], "big")
    assert len(plaintext) == padded(end)
    assert not any(plaintext[end:])
    return plaintext[:32], plaintext[36:end]


class Handshake:
    """One handshake, on either side."""

    def __init__(self, token: bytes, bound_to: bytes, *, initiator: bool, ephemeral: bytes | None = None) -> None:
        """Take the join token and the prologue; a fixed private key only for the worked example."""
        self._noise = NoiseConnection.from_name(PROTOCOL)
        self._noise.set_psks(token)
        self._noise.set_prologue(bound_to)
        (self._noise.set_as_initiator if initiator else self._noise.set_as_responder)()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of fixed ephemeral keys, and rightly so
            if ephemeral is not None:
                self._noise.set_keypair_from_private_bytes(Keypair.EPHEMERAL, ephemeral)
            self._noise.start_handshake()

    def write(self) -> bytes:
        """Return this side's message, with an empty payload."""
        return bytes(self._noise.write_message())

    def read(self, message: bytes) -> None:
        """Take the other side's message."""
        assert bytes(self._noise.read_message(message)) == b""

    @property
    def send_key(self) -> bytes:
        """The key of what this side sends."""
        return bytes(_SEND_KEY(self._noise))

    @property
    def receive_key(self) -> bytes:
        """The key of what this side receives."""
        return bytes(_RECEIVE_KEY(self._noise))

    @property
    def transcript(self) -> bytes:
        """The handshake hash, 64 bytes."""
        return bytes(self._noise.get_handshake_hash())
