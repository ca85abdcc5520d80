"""Quarantine: a call that was running when its server died, twice, is run no more, until an operator restarts that.

May import: our labels and errors. Invariants: calls are compared by a digest under the application's own key, which no
file and no log holds, so that a digest tells nobody the arguments. A call at which a server crashed is the same call
whoever makes it; one at which it was hung is one caller's, since another may have reason to wait.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Final, NamedTuple

from trollbridge.messages import labels
from trollbridge.messages.errors import Quarantined

if TYPE_CHECKING:
    from collections.abc import Iterable

KEY_SIZE: Final = 32
DIGEST_SIZE: Final = 16
MARK_SIZE: Final = 8
DEADLY: Final = 2
"""Deaths of its server that a call may be running at."""
MOST: Final = 1024
"""Calls that are remembered; beyond them, the one that was suspected first is forgotten."""
_WHOLE: Final = 64 * 1024
"""Bytes of encoded arguments up to which all of them count; of longer ones, the first and the last half of that."""
NO_DIGEST: Final = bytes(DIGEST_SIZE)


def _begun(key: bytes, method: str) -> hashlib.blake2b:
    state = hashlib.blake2b(method.encode(), digest_size=DIGEST_SIZE, key=key, person=labels.QUARANTINE)
    state.update(bytes(1))
    return state


def digest(key: bytes, method: str, arguments: bytes | memoryview) -> bytes:
    """Return the digest, 16 bytes, of a method and its encoded arguments."""
    return _ended(_begun(key, method), arguments)


def _ended(state: hashlib.blake2b, arguments: bytes | memoryview) -> bytes:
    if len(arguments) > _WHOLE:
        state.update(len(arguments).to_bytes(8, "big"))
        state.update(arguments[: _WHOLE // 2])
        arguments = arguments[-_WHOLE // 2 :]
    state.update(arguments)
    return state.digest()


def of_caller(key: bytes, found: bytes, caller: str) -> bytes:
    """Return the digest, 16 bytes, of a call as one caller makes it: of the call's own digest and the caller's name."""
    named = bytes(1) + found + caller.encode()  # no method begins with a zero
    return hashlib.blake2b(named, digest_size=DIGEST_SIZE, key=key, person=labels.QUARANTINE).digest()


class Spared:
    """A server's part: the calls that it does not run."""

    __slots__ = ("_begun", "_key", "_refused")

    def __init__(self) -> None:
        """Start without a key, and with every call as good as another."""
        self._key = b""
        self._begun: dict[str, hashlib.blake2b] = {}
        """For each method the digest so far: to go on from there takes half the time."""
        self._refused: frozenset[bytes] = frozenset()

    def learn(self, key: bytes, refused: Iterable[bytes]) -> None:
        """Take the application's key and the digests of the calls that are in quarantine."""
        self._key, self._refused = key, frozenset(refused)
        self._begun.clear()

    def refuse(self, refused: Iterable[bytes]) -> None:
        """Take the digests of those that are in quarantine now, and of no others."""
        self._refused = frozenset(refused)

    def check(self, method: str, arguments: bytes | memoryview, caller: str) -> bytes:
        """Return a call's digest; raises `Quarantined` for one that is not to be run. Without a key: zeros."""
        if not self._key:
            return NO_DIGEST
        begun = self._begun.get(method)
        if begun is None:
            begun = self._begun[method] = _begun(self._key, method)
        found = _ended(begun.copy(), arguments)
        if self._refused and (found in self._refused or of_caller(self._key, found, caller) in self._refused):
            raise Quarantined
        return found


class Suspected(NamedTuple):
    """A call that ran when its server died."""

    deaths: int
    """How often that was."""
    method: str
    caller: str
    """Whose it was the last time."""
    when: float
    """When that was, in seconds since 1970."""


class Suspects:
    """The supervisor's part: which calls were running when a server died, and how often. Pure but for the key."""

    def __init__(self) -> None:
        """Draw the application's key."""
        self.key: Final = os.urandom(KEY_SIZE)
        self._marking: Final = os.urandom(KEY_SIZE)
        """A key that no server is told: a digest may be whatever a server has written."""
        self._deaths: dict[tuple[str, bytes], Suspected] = {}

    def mark(self, found: bytes) -> str:
        """Return what the log may say of a digest: the same of the same one, and nothing that a server could choose."""
        return hashlib.blake2b(found, digest_size=MARK_SIZE, key=self._marking).hexdigest()

    def died(self, service: str, found: bytes, method: str = "", caller: str = "", now: float = 0.0) -> int:
        """Note that a server of this name has died while this call ran; return how often that was.

        `now`: in seconds since 1970.
        """
        which = (service, found)
        before = self._deaths.pop(which, None)
        self._deaths[which] = last = Suspected(1 if before is None else before.deaths + 1, method, caller, now)
        while len(self._deaths) > MOST:
            del self._deaths[next(iter(self._deaths))]
        return last.deaths

    def listed(self, service: str) -> tuple[bytes, ...]:
        """Return the digests of the calls that no server of this name is to run."""
        return tuple(found for name, found, _ in self.quarantined() if name == service)

    def quarantined(self) -> list[tuple[str, bytes, Suspected]]:
        """Return service, digest and last death of each call that is not to be run, the latest last."""
        return [(*which, each) for which, each in self._deaths.items() if each.deaths >= DEADLY]

    def clear(self, service: str) -> int:
        """Forget the calls that no server of this name was to run; return how many there were."""
        found = self.listed(service)
        for each in found:
            del self._deaths[service, each]
        return len(found)
