"""The vault's half of the password proof: challenges that can be answered, and what a right answer yields.

May import: our messages. Invariants: nothing stored makes a proof; a nonce is taken once; every wrong answer, a used
nonce and a stale one included, is one and the same `WrongPassword`.
"""

from __future__ import annotations

import hmac
import os
from typing import TYPE_CHECKING, Final, NamedTuple

from trollbridge.messages import password
from trollbridge.messages.errors import WrongPassword
from trollbridge.messages.vault import Challenge

if TYPE_CHECKING:
    from collections.abc import Callable

    from trollbridge.messages.vault import PasswordParameters, Proof

CHALLENGE_SECONDS: Final = 120.0
"""How long a challenge can be answered. Argon2id takes well under a second, a person has typed the password before."""
CHALLENGES: Final = 16
"""How many challenges can be open at once; a further one voids the oldest."""


class Answer(NamedTuple):
    """What a right proof shows: the password's layer, and what the vault's own answer is computed over."""

    client_key: bytes
    message: bytes

    def __repr__(self) -> str:
        """Show nothing."""
        return "Answer(…)"


def judged(stored_key: bytes, challenge: Challenge, proof: Proof) -> Answer:
    """Return what a right proof shows (RFC 5802, section 3); raises `WrongPassword`."""
    if len(proof.proof) != password.KEY_SIZE or len(proof.client_nonce) != password.NONCE_SIZE:
        raise WrongPassword
    message = password.auth_message(challenge, proof.client_nonce)
    client_key = password.exclusive_or(proof.proof, password.mac(stored_key, message))
    if not hmac.compare_digest(password.stored_key(client_key), stored_key):
        raise WrongPassword
    return Answer(client_key, message)


class Challenges:
    """The challenges that can still be answered: a bounded number, each once, each for a bounded time."""

    __slots__ = ("_clock", "_open")

    def __init__(self, clock: Callable[[], float]) -> None:
        """Take a clock that only moves forward, in seconds."""
        self._clock = clock
        self._open: dict[bytes, tuple[float, Challenge]] = {}

    def issue(self, vault: bytes, salt: bytes, parameters: PasswordParameters, purpose: str) -> Challenge:
        """Return a fresh challenge; the oldest is void if too many are open.

        `purpose` is the mode of the vault that it opens, or `RECOVERY`.
        """
        challenge = Challenge(vault, salt, parameters, os.urandom(password.NONCE_SIZE), purpose)
        self._open[challenge.nonce] = (self._clock() + CHALLENGE_SECONDS, challenge)
        while len(self._open) > CHALLENGES:
            del self._open[next(iter(self._open))]
        return challenge

    def take(self, nonce: bytes, salt: bytes, purpose: str) -> Challenge:
        """Return the challenge of `nonce`, for the one time that it can be; raises `WrongPassword`.

        It must be the one for that salt and purpose: a challenge from before a change is void.
        """
        deadline, challenge = self._open.pop(nonce, (0.0, None))
        if challenge is None or self._clock() > deadline or (challenge.salt, challenge.mode) != (salt, purpose):
            raise WrongPassword
        return challenge

    def void(self) -> None:
        """Make every open challenge unanswerable."""
        self._open.clear()
