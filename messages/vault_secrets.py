"""The vault's vocabulary of API keys, constraints and approvals. No behaviour but pure functions.

May import: `msgspec`. Invariant: nothing in here holds an API key; what could carry one by mistake, and a one-time
code, shows nothing of it.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Final

import msgspec

TOKEN: Final = "token"  # noqa: S105  # the name of a kind
"""A kind of API key: any bytes, for whoever may have them. The only one that `get_secret` and `bearer` give out."""
HMAC: Final = "hmac"
"""A kind: at least one byte, for HMAC (RFC 2104) and for HTTP signatures by `hmac-sha256`."""
TOTP: Final = "totp"
"""A kind: base32 or an `otpauth://totp/` URI, for one-time codes (RFC 6238)."""
ED25519: Final = "ed25519"
"""A kind: a private key as 32 bytes or in PEM (PKCS #8), for HTTP signatures by `ed25519`."""
ECDSA_P256: Final = "ecdsa-p256"
"""A kind: a private key as 32 bytes or in PEM, for HTTP signatures by `ecdsa-p256-sha256`."""
SECRET_KINDS: Final = (TOKEN, HMAC, TOTP, ED25519, ECDSA_P256)

LONGEST_NAME: Final = 128
"""Characters of an API key's name; all are printable, and none at its ends is a space."""
LARGEST_SECRET: Final = 64 << 10
"""Bytes of an API key. None at all is a value, too."""
LONGEST_NOTE: Final = 1024
"""Characters of a note; all are printable."""

SUBJECT_OF_KEYS: Final = "key:"
"""What constraints are laid on: `key:` and an OpenPGP key's fingerprint in lower case."""
SUBJECT_OF_SECRETS: Final = "secret:"
"""Or `secret:` and an API key's name."""
MOST_PER_HOUR: Final = 3600
MOST_MEMBERS: Final = 64


class SecretOptions(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """How an API key is to be kept.

    `use_only`: it is never shown again. `expires` (seconds since 1970) reminds, and stops nothing. `replace`: there
    may be one of that name, of the same kind; it keeps its constraints, and what was use-only stays so.
    """

    kind: str = TOKEN
    use_only: bool = False
    expires: int | None = None
    note: str = ""
    replace: bool = False


class SecretInfo(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """An API key without its value. Times in seconds since 1970; `changed`: when its value was set; `size` in bytes."""

    name: str
    kind: str
    created: int
    changed: int
    expires: int | None
    use_only: bool
    size: int
    note: str


class HttpRequest(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A request that is to be signed (RFC 9421), and which of its components the signature covers.

    `target` is the absolute URI. `components` are written without quotes: `@method`, `content-type`, or
    `@query-param;name="id"`. `created` and `expires` in seconds since 1970; a parameter that is None is left out.
    """

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    components: tuple[str, ...]
    created: int | None = None
    expires: int | None = None
    keyid: str | None = None
    nonce: str | None = None
    tag: str | None = None
    label: str = "sig1"

    def __repr__(self) -> str:
        """Show neither the headers nor the URI, which may carry credentials."""
        return f"HttpRequest({self.method!r}, …, {self.components!r})"


class HttpSignature(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The values of the two headers that a signed request gets: `Signature-Input` and `Signature`."""

    signature_input: str
    signature: str


class TotpCode(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A one-time code, and for how many seconds of its period it is still the current one."""

    code: str
    seconds_left: int

    def __repr__(self) -> str:
        """Show nothing of the code."""
        return f"TotpCode(…, {self.seconds_left!r})"


class Constraints(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What limits the use of a key, on every path to it. All must be met.

    `approval`: each use must be approved. `members`: only these may use it; empty: whoever is granted the call.
    `per_hour`: at most so many uses in any 3600 seconds; 0: no limit. `until`: no use from then on, in seconds since
    1970.
    """

    approval: bool = False
    members: tuple[str, ...] = ()
    per_hour: int = 0
    until: int | None = None


class Approval(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A use that waits to be approved.

    `digest`: SHA-256 of what the key is to be used on; `size` in bytes; `head`: its first lines, fit to be shown,
    empty if it is no text; `member`: who asks; `asked`: when, in seconds since 1970.
    """

    ticket: bytes
    subject: str
    operation: str
    digest: bytes
    size: int
    head: str
    member: str
    asked: int

    def __repr__(self) -> str:
        """Show what is asked for, not what it is about."""
        return f"Approval({self.member!r}, {self.operation!r}, {self.subject!r}, <{self.size} bytes>)"


SECRETS_VOCABULARY: Final[tuple[type[msgspec.Struct], ...]] = (
    SecretOptions, SecretInfo, HttpRequest, HttpSignature, TotpCode, Constraints, Approval,
)  # fmt: skip


def content_digest(body: bytes) -> str:
    """Return the value of a request's `Content-Digest` header (RFC 9530), for a signature to cover the body by."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"
