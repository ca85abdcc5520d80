"""The vault's way to its root in the OS keychain: through a process that is started for one request and ends.

May import: our actors' secret memory, our enclave's keychain_words, our messages. Invariants: a root arrives in secret
memory and leaves from there; no answer is waited for longer than `PATIENCE`, and those of one change together no longer
than `WHOLE`, so that a slow keychain never has the vault given up as hung; what is not a clear answer is an error.
"""

from __future__ import annotations

import contextlib
import math
import time
from typing import TYPE_CHECKING, Final, Protocol

from trollbridge.actors.isolation import secret_memory
from trollbridge.enclave.keychain_words import ANSWER_SIZE, REQUEST, REQUEST_SIZE, ROOT_SIZE, Verb, Word
from trollbridge.messages.errors import KeychainFailed, RootMissing

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Generator
    from contextlib import AbstractContextManager

    from trollbridge.messages.secret import Secret

PATIENCE: Final = 15.0
"""Seconds that one request may take, the start of its process included."""
WHOLE: Final = 40.0
"""Seconds that all requests of one change may take. A process that answers nothing for 60 is given up (`SILENT`)."""
WARM: Final = 20.0
"""Seconds that a process may be kept for a request that is expected. It does not wait for much longer."""
_LEAST: Final = 0.001
"""Seconds; a socket's time-out of zero would mean not to wait at all."""
_SILENT: Final = "The OS keychain did not answer in time."
_ENDED: Final = "The process that reaches the OS keychain ended without an answer."
_FAILED: Final = "The OS keychain did not do what was asked."
_SENTENCES: Final[dict[int, str]] = {
    Word.NO_BUS: "There is no OS keychain: no D-Bus session.",
    Word.NO_SERVICE: "There is no OS keychain: no Secret Service on the D-Bus session.",
    Word.NO_COLLECTION: "The OS keychain has no default collection; make one, and unlock it.",
    Word.LOCKED: "The OS keychain is locked; unlock it, as logging in to a desktop does.",
    Word.DENIED: "The OS keychain refused the request.",
    Word.UNUSABLE: "What the OS keychain holds as this vault's root is none; use the recovery file.",
    Word.NO_PACKAGE: "The OS keychain cannot be reached: the package keyring or secretstorage cannot be used.",
    Word.SILENT: "The OS keychain does not answer.",
}


class RootKeeper(Protocol):
    """Where roots are kept. `vault` is the vault's id, 16 bytes; `number` is the root's."""

    def fetch(self, vault: bytes, number: int) -> Secret:
        """Return the root; raises `RootMissing`, or `KeychainFailed`."""
        ...

    def store(self, vault: bytes, number: int, root: Secret) -> None:
        """Keep a root, in the place of one of that number; raises `KeychainFailed`."""

    def remove(self, vault: bytes, number: int) -> None:
        """Forget a root and those of this vault that are older, if any is there; raises `KeychainFailed`."""

    def together(self) -> AbstractContextManager[None]:
        """Return a context whose requests together take no longer than a call may."""
        ...

    def expect(self) -> None:
        """Get ready for a request that will come soon."""

    def rest(self) -> None:
        """Expect none any more."""


class NoKeychain:
    """Where no keychain was given: everything is refused."""

    def fetch(self, vault: bytes, number: int) -> Secret:  # noqa: ARG002
        """Refuse."""
        raise KeychainFailed

    def store(self, vault: bytes, number: int, root: Secret) -> None:  # noqa: ARG002
        """Refuse."""
        raise KeychainFailed

    def remove(self, vault: bytes, number: int) -> None:  # noqa: ARG002
        """Refuse."""
        raise KeychainFailed

    def together(self) -> AbstractContextManager[None]:
        """Do nothing."""
        return contextlib.nullcontext()

    def expect(self) -> None:
        """Do nothing."""

    def rest(self) -> None:
        """Do nothing."""


class Keychain:
    """The OS keychain, one process for each request.

    Starting one takes longer than all the rest, so one is started when a request is expected: while a person's password
    is being hashed. It asks the keychain for nothing before the request comes.
    """

    __slots__ = ("_deadline", "_errand", "_patience", "_warm", "_whole")

    def __init__(self, errand: Callable[[], socket.socket], patience: float = PATIENCE, whole: float = WHOLE) -> None:
        """Take what starts the process and returns the near end of a stream socket to it."""
        self._errand: Final = errand
        self._patience: Final = patience
        self._whole: Final = whole
        self._deadline = math.inf
        self._warm: tuple[socket.socket, float] | None = None

    @contextlib.contextmanager
    def together(self) -> Generator[None]:
        """Have all requests in this context take `WHOLE` seconds at most."""
        self._deadline = time.monotonic() + self._whole
        try:
            yield
        finally:
            self._deadline = math.inf

    def expect(self) -> None:
        """Start a process for the next request, if none waits for one."""
        if self._warm is None or time.monotonic() > self._warm[1]:
            self.rest()
            self._warm = self._errand(), time.monotonic() + WARM

    def rest(self) -> None:
        """Let the process go that waits for a request."""
        warm, self._warm = self._warm, None
        if warm is not None:
            warm[0].close()

    def _end(self) -> socket.socket:
        """Return the stream to a process that nobody has asked yet."""
        warm, self._warm = self._warm, None
        if warm is not None:
            if time.monotonic() <= warm[1]:
                return warm[0]
            warm[0].close()
        return self._errand()

    def fetch(self, vault: bytes, number: int) -> Secret:
        """Return the root; raises `RootMissing`, or `KeychainFailed` with what to do about it."""
        return self._ask(Verb.FETCH, vault, number, None)

    def store(self, vault: bytes, number: int, root: Secret) -> None:
        """Keep a root, in the place of one of that number."""
        self._ask(Verb.STORE, vault, number, root).drop()

    def remove(self, vault: bytes, number: int) -> None:
        """Forget a root and those of this vault that are older."""
        with contextlib.suppress(RootMissing):
            self._ask(Verb.REMOVE, vault, number, None).drop()

    def _ask(self, verb: Verb, vault: bytes, number: int, root: Secret | None) -> Secret:
        request, answer = secret_memory.secret(REQUEST_SIZE), secret_memory.secret(ANSWER_SIZE)
        try:
            request.view[: REQUEST.size] = REQUEST.pack(verb, vault, number)
            if root is not None:
                request.view[REQUEST.size :] = root.view
            self._exchange(request.view, answer.view)
            word = answer.view[0]
            if word == Word.MISSING:
                raise RootMissing
            if word != Word.DONE:
                raise KeychainFailed(_SENTENCES.get(word, _FAILED))
            found = secret_memory.secret(ROOT_SIZE)
            found.view[:] = answer.view[1:]
        finally:
            request.drop()
            answer.drop()
        return found

    def _exchange(self, request: bytearray | memoryview, answer: bytearray | memoryview) -> None:
        deadline = min(time.monotonic() + self._patience, self._deadline)
        if time.monotonic() >= deadline:
            raise KeychainFailed(_SILENT)
        try:
            with self._end() as end:
                end.settimeout(max(deadline - time.monotonic(), _LEAST))
                end.sendall(request)
                got = 0
                while got < len(answer):
                    end.settimeout(max(deadline - time.monotonic(), _LEAST))
                    count = end.recv_into(memoryview(answer)[got:])
                    if count == 0:
                        raise KeychainFailed(_ENDED)
                    got += count
        except TimeoutError:
            raise KeychainFailed(_SILENT) from None
        except OSError:
            raise KeychainFailed(_ENDED) from None
