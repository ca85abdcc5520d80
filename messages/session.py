"""A session: the end-to-end channel between a client and an enclave, each body under a one-time key.

May import: our messages. Invariants: a message key is derived, used and dropped within one call; the chain only steps
forward, so its state at message n opens no message before n; a message that fails changes nothing.

Plaintext, before sealing:

    0        16         20               20+n        padded(20+n)
    | salt   | n, u32   | content, n B   | zeros      |
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from trollbridge.messages import aead, labels
from trollbridge.messages.envelope import Envelope, associated, context
from trollbridge.messages.errors import AuthenticationFailed, Malformed, OutOfSequence, UsageError
from trollbridge.messages.padding import padded

if TYPE_CHECKING:
    from trollbridge.messages.ids import Epoch, HandlerUID, MemberId, Microseconds
    from trollbridge.messages.noise import Split

SALT_SIZE: Final = 16
PREFIX_SIZE: Final = SALT_SIZE + 4
LARGEST_CONTENT: Final = 128 * 1024 - 512
"""Bytes of content in one envelope; more travels as PARTs."""
WIDEST_GAP: Final = 4096
"""Messages that may be missing before the next one: calls that the broker refused."""


_ZEROS: Final = bytes(LARGEST_CONTENT // 8)
"""At least as long as the longest padding."""


class _Salts:
    """Fresh random bytes from the kernel, fetched in blocks; each is handed out once, to whichever thread asks."""

    __slots__ = ("_ready",)

    def __init__(self) -> None:
        self._ready: list[bytes] = []

    def next(self) -> bytes:
        try:
            return self._ready.pop()
        except IndexError:
            block = os.urandom(256 * SALT_SIZE)
            self._ready += [block[at : at + SALT_SIZE] for at in range(SALT_SIZE, len(block), SALT_SIZE)]
            return block[:SALT_SIZE]


_salts: Final = _Salts()


class Sender:
    """The sealing end of one direction."""

    __slots__ = ("_chain", "_context", "_receiver", "_sender", "_sequence")

    def __init__(self, chain: bytes, direction: bytes, sender: MemberId, receiver: MemberId) -> None:
        """Take the first chain key and the direction's context."""
        self._chain: bytes | None = chain
        self._context = direction
        self._sender = sender
        self._receiver = receiver
        self._sequence = 0

    def seal(self, kind: int, uid: HandlerUID, deadline: Microseconds, content: bytes | memoryview) -> Envelope:
        """Return the next envelope; `content` is at most `LARGEST_CONTENT` bytes. Raises `UsageError` once dropped."""
        if self._chain is None or len(content) > LARGEST_CONTENT:
            msg = "this session has ended, or the content is too long for one envelope"
            raise UsageError(msg)
        length = len(content)
        size = PREFIX_SIZE + length
        padding = _ZEROS[: padded(size) - size]
        plaintext = b"".join((_salts.next(), length.to_bytes(4, "big"), content, padding))
        sequence = self._sequence
        self._chain, key = labels.step(self._chain)
        self._sequence = sequence + 1
        body = aead.seal_once(key, associated(self._context, kind, uid, sequence, deadline), plaintext)
        return Envelope(kind, self._sender, self._receiver, uid, sequence, deadline, body)

    def drop(self) -> None:
        """Forget the chain; nothing can be sealed any more."""
        self._chain = None


class Receiver:
    """The opening end of one direction."""

    __slots__ = ("_chain", "_context", "_receiver", "_sender", "_sequence")

    def __init__(self, chain: bytes, direction: bytes, sender: MemberId, receiver: MemberId) -> None:
        """Take the first chain key and the direction's context."""
        self._chain: bytes | None = chain
        self._context = direction
        self._sender = sender
        self._receiver = receiver
        self._sequence = 0

    def open(self, envelope: Envelope) -> memoryview:
        """Return the content.

        Raises `OutOfSequence` for a message that came before or is too far ahead, `AuthenticationFailed` for one that
        is forged or meant for somebody else, `Malformed` for a plaintext that is not laid out as above. Only the last
        moves the chain.
        """
        chain, sequence = self._chain, envelope.sequence
        if chain is None or envelope.sender != self._sender or envelope.receiver != self._receiver:
            raise AuthenticationFailed
        gap = sequence - self._sequence
        if gap:
            if not 0 < gap <= WIDEST_GAP:
                raise OutOfSequence
            for _ in range(gap):
                chain, _skipped = labels.step(chain)
        chain, key = labels.step(chain)
        data = associated(self._context, envelope.kind, envelope.uid, sequence, envelope.deadline)
        plaintext = aead.open_once(key, data, envelope.body)
        self._chain, self._sequence = chain, sequence + 1
        size = PREFIX_SIZE + int.from_bytes(plaintext[SALT_SIZE:PREFIX_SIZE], "big")
        whole = len(plaintext)
        if whole != padded(size) or plaintext[size:] != _ZEROS[: whole - size]:
            raise Malformed
        return memoryview(plaintext)[PREFIX_SIZE:size]

    def drop(self) -> None:
        """Forget the chain; nothing can be opened any more."""
        self._chain = None


class Session:
    """Both directions of the channel between two members in one epoch. Not copyable, not picklable."""

    __slots__ = ("_receiver", "_sender", "open", "peer", "seal", "transcript")

    def __init__(self, split: Split, epoch: Epoch, me: MemberId, peer: MemberId, *, initiator: bool) -> None:
        """Take the keys of the finished handshake; the client is the initiator."""
        self.peer: Final = peer
        self.transcript: Final = split.transcript
        send, receive = (labels.derive(labels.SESSION, key) for key in (split.send_key, split.receive_key))
        self._sender = Sender(send, context(epoch, me, peer, forward=initiator), me, peer)
        self._receiver = Receiver(receive, context(epoch, peer, me, forward=not initiator), peer, me)
        self.seal: Final = self._sender.seal
        self.open: Final = self._receiver.open

    def drop(self) -> None:
        """Forget all keys."""
        self._sender.drop()
        self._receiver.drop()

    def __repr__(self) -> str:
        """Show the peer only."""
        return f"<Session with {self.peer}>"

    def __reduce__(self) -> str:
        """Refuse to be copied or pickled."""
        msg = "a session cannot be copied or pickled"
        raise UsageError(msg)
