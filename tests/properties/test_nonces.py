"""No key meets a nonce twice: every call of the cipher is watched, over many messages of every kind."""

from __future__ import annotations

from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import settings

from tests.actors.keeper import Keeper, Note
from tests.actors.memory_ring import EXTENSION, UI, MemoryRing
from tests.messages.sessions import UID, pair
from trollbridge.actors.handlers import exported
from trollbridge.messages import aead
from trollbridge.messages.envelope import Kind
from trollbridge.messages.ids import Microseconds

DEEP: Final = settings().max_examples > 1_000
CALLS: Final = 60_000 if DEEP else 6_000
MESSAGES: Final = 1_000_000 if DEEP else 100_000
GRANTS: Final = {UI: tuple(sorted(exported(Keeper))), EXTENSION: ("echo", "secret")}


class Watched:
    """AES-256-GCM that remembers which nonces each key has sealed under."""

    used: set[tuple[bytes, bytes]]
    keys: set[bytes]
    sealed: int

    def __init__(self, key: bytes) -> None:
        """Take a key."""
        self._key = bytes(key)
        self._cipher = AESGCM(key)
        self.decrypt = self._cipher.decrypt

    def encrypt(self, nonce: bytes, data: bytes, associated: bytes | None) -> bytes:
        """Seal, unless this key has met this nonce."""
        Watched.sealed += 1
        Watched.keys.add(self._key)
        pair_of = (self._key, bytes(nonce))
        if pair_of in Watched.used:
            msg = "a key has met a nonce twice"
            raise AssertionError(msg)
        Watched.used.add(pair_of)
        return self._cipher.encrypt(nonce, data, associated)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # any other way to seal would go unseen
        """Refuse every other way."""
        raise AssertionError(name)


@pytest.fixture(autouse=True)
def _watch(monkeypatch: pytest.MonkeyPatch) -> None:
    Watched.used, Watched.keys, Watched.sealed = set(), set(), 0
    monkeypatch.setattr(aead, "AESGCM", Watched)


def test_no_nonce_is_met_twice_in_whole_rings() -> None:
    """A34, R2: handshakes, links, sessions, parts and sensitive results of several epochs."""
    for epoch in range(1, 4):
        ring = MemoryRing(Keeper(), grants=GRANTS, epoch=epoch, vocabulary={"Note": Note})
        for number in range(CALLS // 60):
            promises = [ring.call("echo", b"same") for _ in range(8)]
            promises += [ring.call("secret", "same"), ring.call("secret", "same", member=EXTENSION)]
            if number % 50 == 0:
                promises.append(ring.call("echo", bytes(300_000)))
            ring.pump(answering=True)
            assert all(each.done for each in promises)
        ring.close()
    assert Watched.sealed == len(Watched.used) > CALLS
    assert len(Watched.keys) > CALLS


def test_no_nonce_is_met_twice_over_very_many_messages() -> None:
    """A34, A8: a hundred thousand bodies (a million in the deep profile), each under a key of its own, nonce zero."""
    client, _ = pair()
    Watched.used.clear()
    Watched.keys.clear()
    for _ in range(MESSAGES):
        client.seal(Kind.CALL, UID, Microseconds(0), b"same")
    assert len(Watched.used) == len(Watched.keys) == MESSAGES
    assert {nonce for _, nonce in Watched.used} == {bytes(12)}


def test_the_watch_sees_a_nonce_that_is_met_twice() -> None:
    """A34: the negative half: the same key and counter again is caught."""
    aead.seal(bytes(32), 7, b"", b"one")
    with pytest.raises(AssertionError, match="met a nonce twice"):
        aead.seal(bytes(32), 7, b"", b"another")
