"""What may be asked for about OpenPGP keys.

May import: `msgspec`, our orders. Invariants: those of `orders`.
"""

from __future__ import annotations

from typing import TypeAlias

from trollbridge.ui_adapter.vault.orders import USING, Limits, Order, Source, Target


class GenerateKey(Order, frozen=True, tag="key-generate"):
    """Make a key pair; `lifetime` in seconds, 0 for no end."""

    calls = ("generate",)
    user_id: str
    profile: str = "default"
    lifetime: int = 0


class ImportKeys(Order, frozen=True, tag="key-import"):
    """Take keys in, public or secret."""

    calls = ("import_public", "secret_locks", "import_secret")
    file: str = "-"
    own: Source = Source()


class ListKeys(Order, frozen=True, tag="key-list"):
    """List keys."""

    calls = ("list_keys",)
    only_secret: bool = False


class ShowKey(Order, frozen=True, tag="key-show"):
    """Show everything about one key, its constraints too."""

    calls = ("list_keys", "show_key", "constraints")
    key: str


class ExportPublic(Order, frozen=True, tag="key-export"):
    """Write a certificate."""

    calls = ("list_keys", "export_public")
    key: str
    target: Target
    armored: bool = True


class ExportSecret(Order, frozen=True, tag="key-export-secret"):
    """Write a secret key, protected by a new password."""

    calls = ("list_keys", "export_secret", *USING)
    key: str
    target: Target
    own: Source = Source()


class SetKeyPassword(Order, frozen=True, tag="key-password"):
    """Give a key a password of its own, or take it away."""

    calls = ("list_keys", "set_key_password", *USING)
    key: str
    remove: bool = False
    own: Source = Source()


class AddUserId(Order, frozen=True, tag="key-add-user-id"):
    """Add a user id to an own key."""

    calls = ("list_keys", "add_user_id", *USING)
    key: str
    user_id: str


class RevokeUserId(Order, frozen=True, tag="key-revoke-user-id"):
    """Revoke a user id of an own key."""

    calls = ("list_keys", "revoke_user_id", *USING)
    key: str
    user_id: str


class ExpireKey(Order, frozen=True, tag="key-expire"):
    """Set when an own key ends; `expires` in seconds since 1970, 0 for never."""

    calls = ("list_keys", "set_expiry", *USING)
    key: str
    expires: int


class RevokeKey(Order, frozen=True, tag="key-revoke"):
    """Revoke an own key."""

    calls = ("list_keys", "revoke_key", *USING)
    key: str
    sure: bool = False


class ExportRevocation(Order, frozen=True, tag="key-revocation"):
    """Write the certificate that revokes an own key."""

    calls = ("list_keys", "revocation_certificate", *USING)
    key: str
    target: Target


class DeleteKey(Order, frozen=True, tag="key-delete"):
    """Delete a key."""

    calls = ("list_keys", "delete_key", *USING)
    key: str
    sure: bool = False


class TrustKey(Order, frozen=True, tag="key-trust"):
    """Say that a certificate is its owner's, or take that back."""

    calls = ("list_keys", "set_trust")
    key: str
    trusted: bool = True


class ConstrainKey(Order, frozen=True, tag="key-constrain"):
    """Change an own key's constraints."""

    calls = ("list_keys", "constraints", "constrain")
    key: str
    limits: Limits = Limits()


KeyOrder: TypeAlias = (
    GenerateKey
    | ImportKeys
    | ListKeys
    | ShowKey
    | ExportPublic
    | ExportSecret
    | SetKeyPassword
    | AddUserId
    | RevokeUserId
    | ExpireKey
    | RevokeKey
    | ExportRevocation
    | DeleteKey
    | TrustKey
    | ConstrainKey
)
