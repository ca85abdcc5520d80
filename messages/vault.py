"""The typed vocabulary of the shipped vault: what its handlers take and give. No behaviour but pure functions.

May import: `msgspec`. Invariant: no value that a handler returns holds a secret key, a password or anything that a
password can be guessed from faster than through Argon2id; the two that carry secrets *into* the vault show nothing of
them.
"""

from __future__ import annotations

from typing import Final

import msgspec

MISSING: Final = "missing"
"""There is no vault at the path yet."""
LOCKED: Final = "locked"
OPEN: Final = "open"
PASSWORD_ONLY: Final = "password-only"  # noqa: S105  # the name of a mode
"""The mode of a vault that one layer protects: the password, and no OS keychain."""

DETACHED: Final = "detached"
INLINE: Final = "inline"
CLEAR: Final = "clear"
SIGNATURE_MODES: Final = (DETACHED, INLINE, CLEAR)
"""How `sign` delivers: the signature alone; data and signature in one message; UTF-8 text framed by its signature."""

VALID: Final = "valid"
EXPIRED: Final = "expired"
REVOKED: Final = "revoked"


class PasswordParameters(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The cost of one guess at the password: Argon2id (RFC 9106) with this memory in KiB, these passes and lanes."""

    memory_kib: int
    passes: int
    lanes: int


class Challenge(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a password is hashed with, and a nonce that one proof may answer once."""

    vault: bytes
    salt: bytes
    parameters: PasswordParameters
    nonce: bytes


class Verifier(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What makes a vault: keys that Argon2id made of the password, never the password nor Argon2id's own output."""

    salt: bytes
    parameters: PasswordParameters
    client_key: bytes
    server_key: bytes

    def __repr__(self) -> str:
        """Show nothing of the keys."""
        return "Verifier(…)"


class Proof(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """That somebody knows the password, as an answer to the challenge of `nonce` and to no other."""

    nonce: bytes
    client_nonce: bytes
    proof: bytes

    def __repr__(self) -> str:
        """Show nothing of the proof."""
        return "Proof(…)"


class VaultStatus(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where the vault stands: `missing`, `locked` or `open`; its mode; wrong passwords since it was last unlocked."""

    state: str
    mode: str
    failed_attempts: int


class KeyInfo(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A key of the vault or somebody's certificate, without any secret. Times in seconds since 1970; None: never.

    `secret`: the vault holds the secret half. `user_ids` are fit to be shown: what cannot be printed is replaced.
    """

    fingerprint: str
    user_ids: tuple[str, ...]
    secret: bool
    created: int
    expires: int | None
    revoked: bool


class Signer(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Whose signature is valid: the certificate's fingerprint, that of the signing (sub)key, the first user id."""

    fingerprint: str
    signing_key: str
    user_id: str


class Verified(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """At least one valid signature, and none that is not. `content` is what was signed; None if it was detached.

    `unknown` names the signers whose certificates the vault lacks: nothing is known of their signatures.
    """

    content: bytes | None
    signers: tuple[Signer, ...]
    unknown: tuple[str, ...]


class Decrypted(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A plaintext that arrived unchanged. Without `signers` nobody is known to have written it.

    `recipient` is the fingerprint of the key that opened it. `unknown` as in `Verified`. No invalid signature is
    among them: with one, there is no plaintext but `BadSignature`.
    """

    plaintext: bytes
    signers: tuple[Signer, ...]
    unknown: tuple[str, ...]
    recipient: str

    def __repr__(self) -> str:
        """Show who signed, not what was written."""
        return f"Decrypted(<{len(self.plaintext)} bytes>, {self.signers!r}, {self.unknown!r}, {self.recipient!r})"


VOCABULARY: Final[tuple[type[msgspec.Struct], ...]] = (
    PasswordParameters, Challenge, Verifier, Proof, VaultStatus, KeyInfo, Signer, Verified, Decrypted,
)  # fmt: skip


def standing(key: KeyInfo, now: int) -> str:
    """Return `valid`, `expired` or `revoked`, as the certificate as a whole stands at `now` (seconds since 1970)."""
    if key.revoked:
        return REVOKED
    return EXPIRED if key.expires is not None and key.expires <= now else VALID


def printable(text: str) -> str:
    """Return `text` with every character that could steer a terminal or reorder a line replaced by U+FFFD."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)
