"""The password proof: SCRAM (RFC 5802, SHA-256 as in RFC 7677) with Argon2id for Hi(); here, the client's half.

May import: `cryptography`, our messages. Invariant: neither the password nor SaltedPassword leaves the caller; what
does is bound to one challenge.

    SaltedPassword := Argon2id(OpaqueString(password), salt, parameters), 32 bytes
    ClientKey      := HMAC(SaltedPassword, "Client Key")        ServerKey := HMAC(SaltedPassword, "Server Key")
    StoredKey      := H(ClientKey)
    AuthMessage    := n=<vault>,r=<client nonce>,r=<both nonces>,s=<salt>,i=<parameters>,l=<mode>,c=biws,r=<both nonces>
    ClientProof    := ClientKey XOR HMAC(StoredKey, AuthMessage)
    ServerSignature := HMAC(ServerKey, AuthMessage)

The one deviation: the vault's nonce is asked for first and the client's is added to the answer, which saves a call.
Both are random, both are in AuthMessage, and the vault takes each of its nonces once, so nothing that RFC 5802 proves
depends on who came first.

At creation the vault gets ClientKey and ServerKey. ClientKey opens the wrapped vault key, and every unlocking shows
it to the enclave anyway (that is how SCRAM checks a proof), so creation tells it nothing that it would not learn; it
never sees more.

Passwords are prepared by NFKC, as SASLprep (RFC 4013) does, without its mapping tables: `é` is one password however
it was typed. Control characters and code points that Unicode has not assigned are refused: their form may change with
the next version.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import unicodedata
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from trollbridge.messages.errors import AuthenticationFailed, DeclaredError
from trollbridge.messages.vault import (
    PASSWORD_ONLY,
    RECOVERY,
    TWO_LAYERS,
    Challenge,
    PasswordParameters,
    Proof,
    Verifier,
)

KEY_SIZE: Final = 32
NONCE_SIZE: Final = 32
SALT_SIZE: Final = 16
VAULT_ID_SIZE: Final = 16
MAX_CHARACTERS: Final = 1024
STANDARD: Final = PasswordParameters(memory_kib=64 << 10, passes=3, lanes=4)
"""What new vaults get, and the least that is accepted: RFC 9106's second recommendation, 0.1 s on a desktop of 2025."""
PURPOSES: Final = (TWO_LAYERS, PASSWORD_ONLY, RECOVERY)
"""What a password can be asked for: a vault in one of the modes that have one, or a recovery file."""
CEILING: Final = PasswordParameters(memory_kib=1 << 20, passes=16, lanes=16)
"""The most that is accepted: a damaged or hostile vault cannot make the client use more than 1 GiB, or minutes."""


class PasswordRefused(DeclaredError):
    """The password is empty, longer than 1024 characters, or has control characters; choose another."""


class WeakParameters(DeclaredError):
    """The vault asks for a password hash outside the accepted cost; it may have been tampered with."""


class Attempt(NamedTuple):
    """One answer to one challenge. `proof` goes to the vault; `server_signature` is what a true vault answers."""

    proof: Proof
    server_signature: bytes

    def confirm(self, server_signature: bytes) -> None:
        """Raise `AuthenticationFailed` unless the vault showed that it knows this password's ServerKey."""
        if not hmac.compare_digest(self.server_signature, server_signature):
            msg = "what answered does not hold this vault's key"
            raise AuthenticationFailed(msg)

    def __repr__(self) -> str:
        """Show nothing."""
        return "Attempt(…)"


def check_parameters(parameters: PasswordParameters, floor: PasswordParameters = STANDARD) -> None:
    """Raise `WeakParameters` if a guess would cost less than `floor` in any part, or more than `CEILING`."""
    fits = (
        floor.memory_kib <= parameters.memory_kib <= CEILING.memory_kib
        and floor.passes <= parameters.passes <= CEILING.passes
        and 1 <= parameters.lanes <= CEILING.lanes
        and parameters.memory_kib >= 8 * parameters.lanes
    )
    if not fits:
        raise WeakParameters


def check_verifier(verifier: Verifier, floor: PasswordParameters = STANDARD) -> None:
    """Raise `WeakParameters` for parameters below `floor`, and for keys or a salt of a wrong size."""
    check_parameters(verifier.parameters, floor)
    if (len(verifier.salt), len(verifier.client_key), len(verifier.server_key)) != (SALT_SIZE, KEY_SIZE, KEY_SIZE):
        raise WeakParameters


def new_salt() -> bytes:
    """Return a fresh salt, 16 bytes."""
    return os.urandom(SALT_SIZE)


def prepare(password: str) -> bytes:
    """Return the password's one UTF-8 form (NFKC); raises `PasswordRefused`."""
    if not 0 < len(password) <= MAX_CHARACTERS:
        raise PasswordRefused
    prepared = unicodedata.normalize("NFKC", password)
    if any(unicodedata.category(each) in {"Cc", "Cn", "Cs"} for each in password + prepared):
        raise PasswordRefused
    return prepared.encode()


def mac(key: bytes, message: bytes) -> bytes:
    """Return HMAC-SHA-256, 32 bytes."""
    return hmac.digest(key, message, "sha256")


def stored_key(client_key: bytes) -> bytes:
    """Return StoredKey = H(ClientKey): it checks a proof and makes none."""
    return hashlib.sha256(client_key).digest()


def exclusive_or(left: bytes, right: bytes) -> bytes:
    """Return the bytewise XOR of two strings of one length; raises `ValueError` for two."""
    return bytes(a ^ b for a, b in zip(left, right, strict=True))


def client_and_server_key(salted_password: bytes) -> tuple[bytes, bytes]:
    """Return (ClientKey, ServerKey), 32 bytes each."""
    return mac(salted_password, b"Client Key"), mac(salted_password, b"Server Key")


def auth_message(challenge: Challenge, client_nonce: bytes) -> bytes:
    """Return AuthMessage: the vault, both nonces, the salt, the parameters and the mode (RFC 5802, section 5.1).

    The mode is one of the extensions (here `l`, for layers) that the RFC leaves room for.
    """
    mine, theirs, salt = (base64.b64encode(part) for part in (client_nonce, challenge.nonce, challenge.salt))
    cost = challenge.parameters
    parts = (
        b"n=" + challenge.vault.hex().encode() + b",r=" + mine,
        b"r=" + mine + theirs + b",s=" + salt + b",i=argon2id:%d:%d:%d" % (cost.memory_kib, cost.passes, cost.lanes),
        b"l=" + challenge.mode.encode(),
        b"c=biws,r=" + mine + theirs,
    )
    return b",".join(parts)


def client_proof(client_key: bytes, message: bytes) -> bytes:
    """Return ClientProof for an AuthMessage; whoever has StoredKey gets ClientKey back by the same XOR."""
    return exclusive_or(client_key, mac(stored_key(client_key), message))


def _salted_password(password: str, salt: bytes, cost: PasswordParameters) -> bytes:
    prepared = prepare(password)
    kdf = Argon2id(salt=salt, length=KEY_SIZE, iterations=cost.passes, lanes=cost.lanes, memory_cost=cost.memory_kib)
    return kdf.derive(prepared)


def new_verifier(password: str, parameters: PasswordParameters = STANDARD) -> Verifier:
    """Return what creates a vault under `password`, with a fresh salt; takes as long as the parameters say.

    Raises `PasswordRefused`. Only tests name other parameters; a vault that ships refuses weaker ones.
    """
    salt = new_salt()
    client_key, server_key = client_and_server_key(_salted_password(password, salt, parameters))
    return Verifier(salt, parameters, client_key, server_key)


def attempt(password: str, challenge: Challenge, floor: PasswordParameters = STANDARD) -> Attempt:
    """Return the answer to `challenge`, and what the vault must answer to it; takes as long as its parameters say.

    Raises `WeakParameters` before anything is computed if the challenge asks for less than `floor`, has a short salt
    or nonce, or is for no known purpose: a lying vault must not learn a cheap hash of the password. Raises
    `PasswordRefused`.
    """
    check_parameters(challenge.parameters, floor)
    sizes = (len(challenge.vault), len(challenge.nonce), len(challenge.salt))
    if sizes != (VAULT_ID_SIZE, NONCE_SIZE, SALT_SIZE) or challenge.mode not in PURPOSES:
        raise WeakParameters
    salted = _salted_password(password, challenge.salt, challenge.parameters)
    client_key, server_key = client_and_server_key(salted)
    client_nonce = os.urandom(NONCE_SIZE)
    message = auth_message(challenge, client_nonce)
    proof = Proof(challenge.nonce, client_nonce, client_proof(client_key, message))
    return Attempt(proof, mac(server_key, message))


def prove(password: str, challenge: Challenge, floor: PasswordParameters = STANDARD) -> Proof:
    """Return only the proof of `attempt`, for a caller that does not check the vault's own answer."""
    return attempt(password, challenge, floor).proof
