"""What may be asked for about documents, files and API keys.

May import: `msgspec`, our orders. Invariants: those of `orders`.
"""

from __future__ import annotations

from typing import TypeAlias

from trollbridge.ui_adapter.vault.orders import APPROVING, USING, Limits, Order, Target

_PIECES = ("begin", "feed", "feed_plain", "finish", "finish_plain", "cancel")
"""The handlers through which a document passes in pieces."""

# Documents.


class Sign(Order, frozen=True, tag="sign"):
    """Sign a document."""

    calls = ("list_keys", "sign", *_PIECES, *USING)
    file: str
    target: Target
    key: str = ""
    mode: str = "detached"
    armored: bool = True


class Verify(Order, frozen=True, tag="verify"):
    """Check a document against a detached signature, or a signed message, whose content goes to the target."""

    calls = ("list_keys", "verify", *_PIECES)
    file: str
    signature: str = ""
    target: Target | None = None
    signer: str = ""


class Encrypt(Order, frozen=True, tag="encrypt"):
    """Encrypt a document; signed inside if `sign`."""

    calls = ("list_keys", "encrypt", *_PIECES, *USING)
    file: str
    target: Target
    recipients: tuple[str, ...]
    sign: bool = False
    key: str = ""
    armored: bool = False


class Decrypt(Order, frozen=True, tag="decrypt"):
    """Decrypt a message and check the signatures inside."""

    calls = ("list_keys", "decrypt", *_PIECES, *USING)
    file: str
    target: Target
    signer: str = ""


class SealFile(Order, frozen=True, tag="file-seal"):
    """Seal a file under the vault's own key."""

    calls = _PIECES
    file: str
    target: Target


class OpenFile(Order, frozen=True, tag="file-open"):
    """Open a sealed file."""

    calls = _PIECES
    file: str
    target: Target


DocumentOrder: TypeAlias = Sign | Verify | Encrypt | Decrypt | SealFile | OpenFile


# What git asks for.


class GitSign(Order, frozen=True, tag="git-sign"):
    """Sign standard input, detached and armored; tell git on a descriptor."""

    calls = ("list_keys", "sign", *USING)
    key: str
    status: int


class GitVerify(Order, frozen=True, tag="git-verify"):
    """Check a document against a detached signature; tell git on a descriptor."""

    calls = ("list_keys", "verify")
    signature: str
    file: str
    status: int


GitOrder: TypeAlias = GitSign | GitVerify


# API keys.


class SetSecret(Order, frozen=True, tag="secret-set"):
    """Keep an API key, from standard input or the terminal; `expires` in seconds since 1970, 0 for never.

    `empty`: it may be of no bytes at all.
    """

    calls = ("list_secrets", "set_secret")
    name: str
    kind: str = "token"
    use_only: bool = False
    expires: int = 0
    note: str = ""
    replace: bool = False
    whole: bool = False
    empty: bool = False


class GetSecret(Order, frozen=True, tag="secret-get"):
    """Show an API key."""

    calls = ("get_secret", *APPROVING)
    name: str
    target: Target


class RenameSecret(Order, frozen=True, tag="secret-rename"):
    """Give an API key another name."""

    calls = ("rename_secret",)
    name: str
    new_name: str


class DeleteSecret(Order, frozen=True, tag="secret-delete"):
    """Delete an API key."""

    calls = ("delete_secret",)
    name: str
    sure: bool = False


class ListSecrets(Order, frozen=True, tag="secret-list"):
    """List API keys; `within`: only those that expire within so many seconds."""

    calls = ("list_secrets",)
    within: int | None = None


class Hmac(Order, frozen=True, tag="secret-hmac"):
    """Authenticate a document with an API key."""

    calls = ("hmac_secret", *APPROVING)
    name: str
    file: str = "-"
    algorithm: str = "sha256"
    encoding: str = "hex"


class SignRequest(Order, frozen=True, tag="secret-sign-request"):
    """Sign an HTTP request (RFC 9421) with an API key; fields as in `messages.vault_secrets.HttpRequest`.

    `created` None: now. `body`: a file whose digest is put into `content-digest` (RFC 9530); empty: none.
    """

    calls = ("sign_request", *APPROVING)
    name: str
    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    components: tuple[str, ...] = ()
    created: int | None = None
    lifetime: int = 0
    key_id: str = ""
    nonce: str = ""
    purpose: str = ""
    label: str = "sig1"
    body: str = ""


class Bearer(Order, frozen=True, tag="secret-bearer"):
    """Write the Authorization header of an API key."""

    calls = ("bearer", *APPROVING)
    name: str
    target: Target


class Totp(Order, frozen=True, tag="secret-totp"):
    """Write the one-time code of now."""

    calls = ("totp", *APPROVING)
    name: str


class ConstrainSecret(Order, frozen=True, tag="secret-constrain"):
    """Change an API key's constraints."""

    calls = ("constraints", "constrain")
    name: str
    limits: Limits = Limits()


SecretOrder: TypeAlias = (
    SetSecret
    | GetSecret
    | RenameSecret
    | DeleteSecret
    | ListSecrets
    | Hmac
    | SignRequest
    | Bearer
    | Totp
    | ConstrainSecret
)
