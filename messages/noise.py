"""The handshake: exactly `Noise_NNpsk0_25519_AESGCM_BLAKE2b`, revision 34 of the Noise Protocol Framework, sans-IO.

    Initiator                                  Responder
    .message_1()  ── e₁ ‖ sealed payload ──▶   .accept()        32 + n + 16 bytes, n ≥ 0, at most 65,535 in all
    .finish()     ◀── e₂ ‖ sealed payload ──   (its result)     the same form
    both hold a `Split`

May import: the standard library, `cryptography`, `msgspec`, and `errors` and `aead` of this folder.

Invariant owned here: every handshake runs on ephemeral keys made inside the call, and every state serves once. There is
no parameter by which a caller could choose or repeat an ephemeral key; the test of the published vectors replaces the
name `X25519PrivateKey` in this module.

What the pattern does not give: message 1 is protected by the psk alone, so whoever records it may replay it, and it is
not forward-secret: put nothing secret into its payload. The responder knows that the initiator is live only when the
first sealed record from it opens.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final, Generic, NoReturn, TypeVar

import msgspec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from trollbridge.messages.aead import KEY_SIZE, TAG_SIZE, open_sealed, seal
from trollbridge.messages.errors import AuthenticationFailed, HandshakeFailed, UsageError

PROTOCOL_NAME: Final = b"Noise_NNpsk0_25519_AESGCM_BLAKE2b"
PSK_SIZE: Final = 32
TRANSCRIPT_SIZE: Final = 64  # HASHLEN of BLAKE2b
MESSAGE_LIMIT: Final = 65_535  # section 3
_PUBLIC_SIZE: Final = 32
OVERHEAD: Final = _PUBLIC_SIZE + TAG_SIZE
_NO_COPIES: Final = "Handshake states and keys cannot be copied or pickled."
_T = TypeVar("_T")


class Split(msgspec.Struct, frozen=True, eq=False):
    """What a finished handshake leaves: two keys, what they are bound to, and what the peer said on the way.

    `send_key` and `receive_key` are 32 bytes each, for AES-256-GCM with nonces that count from 0 (section 5.2);
    the peer holds them crossed. `transcript` is the handshake hash, 64 bytes, equal on both sides and not secret: the
    channel binding of section 11.2. `remote_payload` came with the peer's handshake message.
    """

    send_key: bytes
    receive_key: bytes
    transcript: bytes
    remote_payload: bytes = b""

    def __repr__(self) -> str:
        """Name the type only: the fields are secrets."""
        return "Split(…)"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled; raises `UsageError`."""
        raise UsageError(_NO_COPIES)


class Initiator:
    """The side that speaks first, for one handshake."""

    __slots__ = ("_start",)

    def __init__(self, psk: bytes, prologue: bytes) -> None:
        """Take the 32-byte psk and what both sides must agree on; the psk itself is not kept.

        Raises `UsageError` if the psk has another size.
        """
        self._start = _Once(_SymmetricState(psk, prologue))

    def message_1(self, payload: bytes = b"") -> tuple[bytes, AwaitingReply]:
        """Make the first message (`-> psk, e`) and the state that reads its reply.

        Raises `UsageError` if the payload exceeds 65,487 bytes or the message was made before.
        """
        _check_payload(payload)
        state = self._start.take()
        ephemeral, public = _fresh_ephemeral()
        message = public + state.seal_and_hash(state.mix_ephemeral(public), payload)
        return message, AwaitingReply(state, ephemeral)


class AwaitingReply:
    """An initiator that has spoken; made by `Initiator.message_1` only."""

    __slots__ = ("_pending",)

    def __init__(self, state: _SymmetricState, ephemeral: X25519PrivateKey) -> None:
        """Keep what the reply will be mixed into."""
        self._pending = _Once((state, ephemeral))

    def finish(self, message_2: bytes) -> Split:
        """Read the second message (`<- e, ee`) and return the keys.

        Raises `HandshakeFailed` for any fault of the message, which ends this handshake; `UsageError` when used again.
        """
        state, ephemeral = self._pending.take()
        remote, sealed = _parts(message_2)
        state.mix_ephemeral(remote)
        payload = state.open_and_hash(state.mix_key(_agree(ephemeral, remote)), sealed)
        first, second = state.split()
        return Split(send_key=first, receive_key=second, transcript=state.transcript, remote_payload=payload)


class Responder:
    """The side that answers, for one handshake."""

    __slots__ = ("_start",)

    def __init__(self, psk: bytes, prologue: bytes) -> None:
        """Take the 32-byte psk and what both sides must agree on; the psk itself is not kept.

        Raises `UsageError` if the psk has another size.
        """
        self._start = _Once(_SymmetricState(psk, prologue))

    def accept(self, message_1: bytes, payload: bytes = b"") -> tuple[bytes, Split]:
        """Read the first message; return the second, which carries `payload`, and the keys.

        Raises `HandshakeFailed` for any fault of the message, which ends this handshake; `UsageError` if the payload
        exceeds 65,487 bytes or a message was accepted before.
        """
        _check_payload(payload)
        state = self._start.take()
        remote, sealed = _parts(message_1)
        received = state.open_and_hash(state.mix_ephemeral(remote), sealed)
        ephemeral, public = _fresh_ephemeral()
        state.mix_ephemeral(public)
        message_2 = public + state.seal_and_hash(state.mix_key(_agree(ephemeral, remote)), payload)
        first, second = state.split()
        return message_2, Split(
            send_key=second, receive_key=first, transcript=state.transcript, remote_payload=received
        )


class _SymmetricState:
    """Section 5.2, as far as this pattern goes, from `Initialize` to the token `psk` that opens it.

    The cipher key is handed out instead of kept: in this pattern each derived key seals one payload, with nonce 0, so a
    second use of one would have to be written down to happen.
    """

    __slots__ = ("_chaining_key", "transcript")

    def __init__(self, psk: bytes, prologue: bytes) -> None:
        if len(psk) != PSK_SIZE:
            msg = f"A pre-shared key has {PSK_SIZE} bytes, not {len(psk)}."
            raise UsageError(msg)
        self.transcript = PROTOCOL_NAME.ljust(TRANSCRIPT_SIZE, b"\0")
        self._chaining_key = self.transcript
        self._mix_hash(prologue)
        # MixKeyAndHash. Its third output would be the cipher key; the token e replaces it before any use.
        self._chaining_key, mixed, _ = _hkdf(self._chaining_key, psk)
        self._mix_hash(mixed)

    def mix_ephemeral(self, public: bytes) -> bytes:
        """Token `e` in a psk handshake (section 9.2): the public key goes into the hash and the key."""
        self._mix_hash(public)
        return self.mix_key(public)

    def mix_key(self, material: bytes) -> bytes:
        """MixKey: returns the cipher key, for one payload."""
        self._chaining_key, key, _ = _hkdf(self._chaining_key, material)
        return key[:KEY_SIZE]

    def seal_and_hash(self, key: bytes, payload: bytes) -> bytes:
        """EncryptAndHash."""
        sealed = seal(key, 0, self.transcript, payload)
        self._mix_hash(sealed)
        return sealed

    def open_and_hash(self, key: bytes, sealed: bytes) -> bytes:
        """DecryptAndHash; raises `HandshakeFailed`."""
        try:
            payload = open_sealed(key, 0, self.transcript, sealed)
        except AuthenticationFailed as error:
            raise HandshakeFailed from error
        self._mix_hash(sealed)
        return payload

    def split(self) -> tuple[bytes, bytes]:
        """Split: the initiator's sending key, then the responder's."""
        first, second, _ = _hkdf(self._chaining_key, b"")
        return first[:KEY_SIZE], second[:KEY_SIZE]

    def _mix_hash(self, data: bytes) -> None:
        self.transcript = hashlib.blake2b(self.transcript + data).digest()


class _Once(Generic[_T]):
    """A value that can be taken out once, by one thread: `list.pop` is atomic."""

    __slots__ = ("_held",)

    def __init__(self, value: _T) -> None:
        self._held = [value]

    def take(self) -> _T:
        try:
            return self._held.pop()
        except IndexError:
            msg = "This handshake state was used already; start a new handshake."
            raise UsageError(msg) from None

    def __reduce__(self) -> NoReturn:
        raise UsageError(_NO_COPIES)


def _fresh_ephemeral() -> tuple[X25519PrivateKey, bytes]:
    ephemeral = X25519PrivateKey.generate()
    return ephemeral, ephemeral.public_key().public_bytes_raw()


def _agree(ephemeral: X25519PrivateKey, remote: bytes) -> bytes:
    """DH (section 12.1). Raises `HandshakeFailed` for a point of small order: the all-zero result is refused."""
    try:
        return ephemeral.exchange(X25519PublicKey.from_public_bytes(remote))
    except ValueError as error:
        raise HandshakeFailed from error


def _parts(message: bytes) -> tuple[bytes, bytes]:
    """Return the ephemeral public key and the sealed payload; raises `HandshakeFailed` for an impossible size."""
    if not OVERHEAD <= len(message) <= MESSAGE_LIMIT:
        raise HandshakeFailed
    return message[:_PUBLIC_SIZE], message[_PUBLIC_SIZE:]


def _check_payload(payload: bytes) -> None:
    if len(payload) > MESSAGE_LIMIT - OVERHEAD:
        msg = f"A handshake payload has at most {MESSAGE_LIMIT - OVERHEAD} bytes, not {len(payload)}."
        raise UsageError(msg)


def _hkdf(chaining_key: bytes, material: bytes) -> tuple[bytes, bytes, bytes]:
    """HKDF of section 4.3; its first two outputs do not depend on whether the third is asked for."""
    secret = _hmac(chaining_key, material)
    first = _hmac(secret, b"\x01")
    second = _hmac(secret, first + b"\x02")
    return first, second, _hmac(secret, second + b"\x03")


def _hmac(key: bytes, data: bytes) -> bytes:
    """HMAC-BLAKE2b (RFC 2104, block length 128), not BLAKE2's own keyed mode: Noise says so."""
    return hmac.digest(key, data, hashlib.blake2b)
