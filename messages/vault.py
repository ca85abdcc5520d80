"""The typed vocabulary of the shipped vault: what its handlers take and give. No behaviour but pure functions.

May import: `msgspec`, our other vocabularies. Invariant: no value that a handler returns holds a secret key, a
password or anything that a password can be guessed from faster than through Argon2id; the two that carry secrets
*into* the vault show nothing of them.
"""

from __future__ import annotations

from typing import Final

import msgspec

from trollbridge.messages.vault_documents import DOCUMENTS_VOCABULARY
from trollbridge.messages.vault_documents import Signer as Signer  # noqa: PLC0414  # its users look for it here
from trollbridge.messages.vault_secrets import SECRETS_VOCABULARY

MISSING: Final = "missing"
"""There is no vault at the path yet."""
LOCKED: Final = "locked"
OPEN: Final = "open"
TWO_LAYERS: Final = "keychain-and-password"
"""The mode of a vault that two layers protect: a root in the OS keychain and a password; neither alone opens it."""
PASSWORD_ONLY: Final = "password-only"  # noqa: S105  # the name of a mode
"""The mode of a vault that one layer protects: the password, and no OS keychain."""
KEYCHAIN_ONLY: Final = "keychain-only"
"""The mode of a vault that one layer protects: the OS keychain, and no password."""
MODES: Final = (TWO_LAYERS, PASSWORD_ONLY, KEYCHAIN_ONLY)
RECOVERY: Final = "recovery"
"""What a challenge for a recovery file's password has in place of a mode."""

DETACHED: Final = "detached"
INLINE: Final = "inline"
CLEAR: Final = "clear"
SIGNATURE_MODES: Final = (DETACHED, INLINE, CLEAR)
"""How `sign` delivers: the signature alone; data and signature in one message; UTF-8 text framed by its signature."""

DEFAULT: Final = "default"
COMPAT: Final = "compat"
V6: Final = "v6"
POST_QUANTUM: Final = "pq"
PROFILES: Final = (DEFAULT, COMPAT, V6, POST_QUANTUM)
"""Kinds of keys: version 4 over Curve25519; the same for correspondents with GnuPG 2.2; RFC 9580; post-quantum."""

OWN: Final = "own"
TRUSTED: Final = "trusted"
UNKNOWN: Final = "unknown"
"""How far the vault's owner trusts a certificate to be whose it says: own key, marked by the owner, not marked."""

VALID: Final = "valid"
EXPIRED: Final = "expired"
REVOKED: Final = "revoked"


class PasswordParameters(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The cost of one guess at the password: Argon2id (RFC 9106) with this memory in KiB, these passes and lanes."""

    memory_kib: int
    passes: int
    lanes: int


class Challenge(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a password is hashed with, and a nonce that one proof may answer once.

    `mode`: of the vault, or `RECOVERY`; what the proof is for.
    """

    vault: bytes
    salt: bytes
    parameters: PasswordParameters
    nonce: bytes
    mode: str


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
    """Where the vault stands: `missing`, `locked` or `open`; its mode, empty while it is missing.

    `failed_attempts`: wrong passwords since the last right one. `wait`: seconds until the next attempt is taken.
    `idle`: seconds without use after which it locks itself; 0: never. `vault`: its id, 16 bytes, empty while it is
    missing; whoever opens it again compares it with what they know (`ui_adapter.unlocking`).
    """

    state: str
    mode: str
    failed_attempts: int
    wait: float
    idle: int
    vault: bytes


class Finding(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One damage. `record` is `file`, `header`, `index`, or a record's kind and name, or its place if it has none."""

    record: str
    problem: str


class CheckReport(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What an examination of the vault's file found. `records` were looked at; without findings the file is sound.

    `whole`: the vault was open, so that every record could be opened. Otherwise only what shows without the key.
    """

    records: int
    findings: tuple[Finding, ...]
    whole: bool


class S2K(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """How a key is made of a password that protects an OpenPGP key (RFC 9580, section 3.7.1), as numbers of the RFC.

    `method`: 0 simple, 1 salted, 3 iterated and salted, 4 Argon2. `hash`: 2 for SHA-1, 8 for SHA-256, …; 0 with Argon2.
    `count`: octets to hash, with method 3. The next three are Argon2's. `size`: bytes of the key.
    """

    method: int
    hash: int
    salt: bytes
    count: int
    passes: int
    lanes: int
    memory_kib: int
    size: int


class Protection(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A password for an OpenPGP key, already stretched: how, and the key that came of it."""

    s2k: S2K
    key: bytes

    def __repr__(self) -> str:
        """Show nothing of the key."""
        return "Protection(…)"


class SubkeyInfo(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A subkey, as its newest binding signature says. `uses`: of `certify`, `sign`, `encrypt`, `authenticate`."""

    fingerprint: str
    algorithm: str
    created: int
    expires: int | None
    revoked: bool
    uses: tuple[str, ...]


class KeyInfo(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A key of the vault or somebody's certificate, without any secret. Times in seconds since 1970; None: never.

    `secret`: the vault holds the secret half. `user_ids` are fit to be shown: what cannot be printed is replaced; a
    revoked one is not among them. `version` 4 or 6; `algorithm` of the primary key. `trust`: `own`, `trusted` or
    `unknown`; it is said of `user_ids` and of no other. `unvouched`: user ids that a trusted certificate has besides,
    for which the owner of the vault has not vouched. `own_password`: it needs `unlock_key` before it is used.
    """

    fingerprint: str
    user_ids: tuple[str, ...]
    secret: bool
    created: int
    expires: int | None
    revoked: bool
    version: int
    algorithm: str
    trust: str
    subkeys: tuple[SubkeyInfo, ...]
    own_password: bool
    unvouched: tuple[str, ...] = ()


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
    PasswordParameters, Challenge, Verifier, Proof, VaultStatus, Finding, CheckReport,
    S2K, Protection, SubkeyInfo, KeyInfo, Verified, Decrypted,
    *DOCUMENTS_VOCABULARY, *SECRETS_VOCABULARY,
)  # fmt: skip


def standing(key: KeyInfo, now: int) -> str:
    """Return `valid`, `expired` or `revoked`, as the certificate as a whole stands at `now` (seconds since 1970)."""
    if key.revoked:
        return REVOKED
    return EXPIRED if key.expires is not None and key.expires <= now else VALID


def printable(text: str) -> str:
    """Return `text` with every character that could steer a terminal or reorder a line replaced by U+FFFD."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)
