"""The vault's half of the password proof: what is stored, how a proof is checked, how the password wraps the vault key.

May import: `msgspec`, our enclave's database constants, our messages. Invariants: nothing stored makes a proof; a
nonce is taken once; every wrong answer, a used nonce and a stale one included, is one and the same `WrongPassword`.

    header  := digest(VAULT_HEADER, body) | body       the digest tells damage from a wrong password; it is no secret
    body    := MessagePack [vault id, mode, salt, parameters, StoredKey, wrapped]
    wrapped := vault key | ServerKey, sealed under derive(VAULT_WRAP, ClientKey, vault id, salt)
    associated data of `wrapped` := the body without `wrapped`

ClientKey is not stored; a right proof yields it (`messages/password.py`). The wrapping key is used once: another
password has another salt. A second layer, when it comes, is one more part of the derivation, and another `mode`,
which the associated data binds.
"""

from __future__ import annotations

import hmac
import os
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from trollbridge.actors.isolation import secret_memory
from trollbridge.enclave.sealing import KEY_SIZE as VAULT_KEY_SIZE
from trollbridge.enclave.sealing import VaultKey
from trollbridge.messages import aead, labels, password
from trollbridge.messages.codec import Codec, encode
from trollbridge.messages.errors import AuthenticationFailed, Malformed, VaultCorrupt, WrongPassword
from trollbridge.messages.vault import PASSWORD_ONLY, Challenge, PasswordParameters, Proof, Verifier

if TYPE_CHECKING:
    from collections.abc import Callable

CHALLENGE_SECONDS: Final = 120.0
"""How long a challenge can be answered. Argon2id takes well under a second, a person has typed the password before."""
CHALLENGES: Final = 16
"""How many challenges can be open at once; a further one voids the oldest."""
_DIGEST_SIZE: Final = 32


class Header(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What is stored in clear, and authenticated as soon as the password is right."""

    vault: bytes
    mode: str
    salt: bytes
    parameters: PasswordParameters
    stored_key: bytes
    wrapped: bytes

    def __repr__(self) -> str:
        """Show which vault it is of."""
        return f"<Header of {self.vault.hex()}>"


class Unwrapped(NamedTuple):
    """What a right proof yields: the key of the vault, and the vault's answer, which only the true vault can give."""

    key: VaultKey
    server_signature: bytes

    def __repr__(self) -> str:
        """Show nothing."""
        return "Unwrapped(…)"


_HEADER: Final[Codec[Header]] = Codec(Header)


def encode_header(header: Header) -> bytes:
    """Return the header as it is stored."""
    body = _HEADER.encode(header)
    return labels.digest(labels.VAULT_HEADER, body) + body


def decode_header(stored: bytes) -> Header:
    """Return a stored header; raises `VaultCorrupt` if a bit of it changed or it was never one."""
    digest, body = stored[:_DIGEST_SIZE], stored[_DIGEST_SIZE:]
    if labels.digest(labels.VAULT_HEADER, body) != digest:
        raise VaultCorrupt
    try:
        header = _HEADER.decode(body)
    except Malformed:
        raise VaultCorrupt from None
    sizes = (len(header.vault), len(header.salt), len(header.stored_key))
    if sizes != (password.VAULT_ID_SIZE, password.SALT_SIZE, password.KEY_SIZE) or header.mode != PASSWORD_ONLY:
        raise VaultCorrupt
    return header


def _wrapping(header: Header, client_key: bytes) -> tuple[bytes, bytes]:
    key = labels.derive(labels.VAULT_WRAP, client_key, header.vault, header.salt)
    return key, encode([header.vault, header.mode, header.salt, header.parameters, header.stored_key])


def new_header(verifier: Verifier, floor: PasswordParameters) -> tuple[Header, VaultKey]:
    """Return the header and the fresh key of a new vault that opens with the password of `verifier`.

    Raises `WeakParameters` for parameters below `floor`, and for keys or a salt of a wrong size.
    """
    password.check_parameters(verifier.parameters, floor)
    sizes = (len(verifier.salt), len(verifier.client_key), len(verifier.server_key))
    if sizes != (password.SALT_SIZE, password.KEY_SIZE, password.KEY_SIZE):
        raise password.WeakParameters
    vault, vault_key = os.urandom(password.VAULT_ID_SIZE), secret_memory.secret(VAULT_KEY_SIZE)
    secret_memory.fill_random(vault_key.view)
    stored_key = password.stored_key(verifier.client_key)
    header = Header(vault, PASSWORD_ONLY, verifier.salt, verifier.parameters, stored_key, b"")
    key, associated = _wrapping(header, verifier.client_key)
    both = secret_memory.secret(VAULT_KEY_SIZE + password.KEY_SIZE)
    both.view[:VAULT_KEY_SIZE], both.view[VAULT_KEY_SIZE:] = vault_key.view, verifier.server_key
    wrapped = aead.seal_once(key, associated, both.view)
    both.drop()
    return msgspec.structs.replace(header, wrapped=wrapped), VaultKey(vault_key, vault)


def unwrap(header: Header, challenge: Challenge, proof: Proof) -> Unwrapped:
    """Check a proof against a challenge and return the key that it opens (RFC 5802, section 3).

    Raises `WrongPassword`, or `VaultCorrupt` if the proof is right and the header was altered.
    """
    if len(proof.proof) != password.KEY_SIZE or len(proof.client_nonce) != password.NONCE_SIZE:
        raise WrongPassword
    message = password.auth_message(challenge, proof.client_nonce)
    client_key = password.exclusive_or(proof.proof, password.mac(header.stored_key, message))
    if not hmac.compare_digest(password.stored_key(client_key), header.stored_key):
        raise WrongPassword
    key, associated = _wrapping(header, client_key)
    both = secret_memory.secret(VAULT_KEY_SIZE + password.KEY_SIZE)
    try:
        aead.open_once_into(key, associated, header.wrapped, both.view)
    except AuthenticationFailed:
        both.drop()
        raise VaultCorrupt from None
    vault_key = secret_memory.secret(VAULT_KEY_SIZE)
    vault_key.view[:] = both.view[:VAULT_KEY_SIZE]
    signature = password.mac(bytes(both.view[VAULT_KEY_SIZE:]), message)
    both.drop()
    return Unwrapped(VaultKey(vault_key, header.vault), signature)


class Challenges:
    """The challenges that can still be answered: a bounded number, each once, each for a bounded time."""

    __slots__ = ("_clock", "_open")

    def __init__(self, clock: Callable[[], float]) -> None:
        """Take a monotonic clock, in seconds."""
        self._clock = clock
        self._open: dict[bytes, tuple[float, Challenge]] = {}

    def issue(self, header: Header) -> Challenge:
        """Return a fresh challenge; the oldest is void if too many are open."""
        challenge = Challenge(header.vault, header.salt, header.parameters, os.urandom(password.NONCE_SIZE))
        self._open[challenge.nonce] = (self._clock() + CHALLENGE_SECONDS, challenge)
        while len(self._open) > CHALLENGES:
            del self._open[next(iter(self._open))]
        return challenge

    def take(self, nonce: bytes) -> Challenge:
        """Return the challenge of `nonce`, for the one time that it can be; raises `WrongPassword`."""
        deadline, challenge = self._open.pop(nonce, (0.0, None))
        if challenge is None or self._clock() > deadline:
            raise WrongPassword
        return challenge

    def void(self) -> None:
        """Make every open challenge unanswerable."""
        self._open.clear()
