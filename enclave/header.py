"""The vault's header: what is stored in clear about its layers, and how they wrap the vault key.

May import: `msgspec`, our actors' secret memory, our enclave's sealing, our messages. Invariants: a vault opens with
every layer that its mode names, and with less it does not, nor does it show then whether a password is right; the
mode, and whatever else the header says, is bound by the wrapping; a wrapping key is used once.

    header  := digest(VAULT_HEADER, body) | body       the digest tells damage from a wrong password; it is no secret
    body    := MessagePack [2, vault id, mode, number, mark, fresh, salt, parameters, stored, wrapped]
    layers  := ClientKey, if the mode has a password | root, if it has the OS keychain
    mark    := derive(KEYCHAIN, root, vault id, number), empty without the keychain
    fresh   := 32 random bytes, for each write of the header
    stored  := StoredKey without the keychain; empty without a password; with both, StoredKey,
               sealed under derive(VAULT_STORED, root, vault id, mode, salt, number, fresh)
    associated data of that := the body without `stored` and `wrapped`
    wrapped := vault key | ServerKey (zeros without a password),
               sealed under derive(VAULT_WRAP, layers, vault id, mode, salt, number, fresh)
    associated data of `wrapped` := the body without `wrapped`

ClientKey is not stored; a right proof yields it (`messages/password.py`). StoredKey judges proofs, and so guesses too:
where there is a root, it is there for whoever has that. The root is 32 random bytes, so its mark tells nothing of it;
it tells a wrong root from a damaged file. The number grows whenever the mode or the root changes. `salt` is the
password's, and comes from where that was typed; it is `fresh` that no wrapping key comes twice by.

Schema 1 had a body of its own, for the password alone. It is read, and written anew at the next unlocking:

    body    := MessagePack [vault id, mode, salt, parameters, StoredKey, wrapped]
    wrapped := as above, under derive(VAULT_WRAP, ClientKey, vault id, salt)
"""

from __future__ import annotations

import hmac
import os
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from trollbridge.actors.isolation import secret_memory
from trollbridge.enclave.sealing import KEY_SIZE as VAULT_KEY_SIZE
from trollbridge.messages import aead, labels, password
from trollbridge.messages.codec import Codec, encode
from trollbridge.messages.errors import AuthenticationFailed, Malformed, VaultCorrupt
from trollbridge.messages.vault import KEYCHAIN_ONLY, MODES, PASSWORD_ONLY, TWO_LAYERS, PasswordParameters, Verifier

if TYPE_CHECKING:
    from trollbridge.messages.secret import Secret

ROOT_SIZE: Final = 32
FIRST: Final = 1
"""The form of schema 1's header."""
SECOND: Final = 2
_LAST_NUMBER: Final = 2**62
_DIGEST_SIZE: Final = 32
_FRESH_SIZE: Final = 32
_STORED_SIZES: Final = {
    PASSWORD_ONLY: password.KEY_SIZE,
    TWO_LAYERS: password.KEY_SIZE + aead.TAG_SIZE,
    KEYCHAIN_ONLY: 0,
}
_NO_PASSWORD: Final = PasswordParameters(0, 0, 0)


class Header(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What is stored in clear, and authenticated as soon as every layer is there."""

    form: int
    vault: bytes
    mode: str
    number: int
    mark: bytes
    fresh: bytes
    salt: bytes
    parameters: PasswordParameters
    stored: bytes
    wrapped: bytes

    def __repr__(self) -> str:
        """Show which vault it is of."""
        return f"<Header of {self.vault.hex()}>"


class _First(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A header as schema 1 had it."""

    vault: bytes
    mode: str
    salt: bytes
    parameters: PasswordParameters
    stored_key: bytes
    wrapped: bytes


class Unwrapped(NamedTuple):
    """What all layers together yield, in buffers that are to be dropped."""

    key: Secret
    server_key: Secret

    def drop(self) -> None:
        """Wipe both."""
        self.key.drop()
        self.server_key.drop()

    def __repr__(self) -> str:
        """Show nothing."""
        return "Unwrapped(…)"


_HEADER: Final[Codec[Header]] = Codec(Header)
_FIRST: Final[Codec[_First]] = Codec(_First)


def has_password(mode: str) -> bool:
    """Return whether a vault of this mode has a password."""
    return mode != KEYCHAIN_ONLY


def has_keychain(mode: str) -> bool:
    """Return whether a vault of this mode has a root in the OS keychain."""
    return mode != PASSWORD_ONLY


def encode_header(header: Header) -> bytes:
    """Return the header as it is stored."""
    if header.form == FIRST:
        first = _First(header.vault, header.mode, header.salt, header.parameters, header.stored, header.wrapped)
        body = _FIRST.encode(first)
    else:
        body = _HEADER.encode(header)
    return labels.digest(labels.VAULT_HEADER, body) + body


def decode_header(stored: bytes) -> Header:
    """Return a stored header; raises `VaultCorrupt` if a bit of it changed or it was never one."""
    digest, body = stored[:_DIGEST_SIZE], stored[_DIGEST_SIZE:]
    if labels.digest(labels.VAULT_HEADER, body) != digest:
        raise VaultCorrupt
    try:
        header = _decode(body)
    except Malformed:
        raise VaultCorrupt from None
    if not _well_formed(header):
        raise VaultCorrupt
    return header


def _decode(body: bytes) -> Header:
    try:
        return _HEADER.decode(body)
    except Malformed:
        old = _FIRST.decode(body)
    return Header(FIRST, old.vault, old.mode, 0, b"", b"", old.salt, old.parameters, old.stored_key, old.wrapped)


def _well_formed(header: Header) -> bool:
    if header.mode not in MODES or not 0 <= header.number < _LAST_NUMBER:
        return False
    if header.form not in {FIRST, SECOND} or (header.form == FIRST and header.mode != PASSWORD_ONLY):
        return False
    sizes = (len(header.vault), len(header.fresh), len(header.salt), len(header.stored), len(header.mark))
    return sizes == (
        password.VAULT_ID_SIZE,
        0 if header.form == FIRST else _FRESH_SIZE,
        password.SALT_SIZE,
        _STORED_SIZES[header.mode],
        ROOT_SIZE if has_keychain(header.mode) else 0,
    )


def root_mark(root: Secret, vault: bytes, number: int) -> bytes:
    """Return what the header says of its root, 32 bytes."""
    return labels.derive(labels.KEYCHAIN, root.view, vault, encode(number))


def fits(header: Header, root: Secret) -> bool:
    """Return whether this is the root that the header was made with."""
    return hmac.compare_digest(root_mark(root, header.vault, header.number), header.mark)


def _associated(header: Header) -> list[object]:
    """Return what all that is sealed in the header is bound to."""
    parts: list[object] = [header.vault, header.mode, header.salt, header.parameters]
    return parts if header.form == FIRST else [header.form, header.number, header.mark, header.fresh, *parts]


def _context(header: Header) -> list[bytes]:
    """Return what every key of this write of the header is derived with."""
    if header.form == FIRST:
        return [header.vault, header.salt]
    return [header.vault, header.mode.encode(), header.salt, encode(header.number), header.fresh]


def _with_stored(header: Header, client_key: bytes, root: Secret | None) -> Header:
    """Return the header with this password's StoredKey."""
    stored = password.stored_key(client_key)
    if root is not None:
        key = labels.derive(labels.VAULT_STORED, root.view, *_context(header))
        stored = aead.seal_once(key, encode(_associated(header)), stored)
    return msgspec.structs.replace(header, stored=stored)


def stored_key(header: Header, root: Secret | None) -> bytes:
    """Return StoredKey, which judges a proof; `root` is the header's own (`fits`), None if the mode has none.

    Raises `VaultCorrupt` for a header that was altered.
    """
    if root is None:
        return header.stored
    key = labels.derive(labels.VAULT_STORED, root.view, *_context(header))
    try:
        return aead.open_once(key, encode(_associated(header)), header.stored)
    except AuthenticationFailed:
        raise VaultCorrupt from None


def _around_wrapped(header: Header) -> bytes:
    return encode([*_associated(header), header.stored])


def _wrapping_key(header: Header, client_key: bytes | None, root: Secret | None) -> bytes:
    """Return the key that all layers together make."""
    context = _context(header)
    if root is None:
        return labels.derive(labels.VAULT_WRAP, client_key or b"", *context)
    password_size = len(client_key or b"")
    layers = secret_memory.secret(password_size + root.size)
    try:
        layers.view[:password_size] = client_key or b""
        layers.view[password_size:] = root.view
        return labels.derive(labels.VAULT_WRAP, layers.view, *context)
    finally:
        layers.drop()


def lay(  # noqa: PLR0913  # what a header is made of
    vault: bytes, mode: str, number: int, *, key: Secret, verifier: Verifier | None, root: Secret | None
) -> Header:
    """Return the header under which exactly these layers open `key`; they are those that the mode names.

    `verifier` is checked already (`password.check_verifier`).
    """
    mark, fresh = b"" if root is None else root_mark(root, vault, number), os.urandom(_FRESH_SIZE)
    salt, parameters, client_key, server_key = password.new_salt(), _NO_PASSWORD, None, bytes(password.KEY_SIZE)
    if verifier is not None:
        salt, parameters = verifier.salt, verifier.parameters
        client_key, server_key = verifier.client_key, verifier.server_key
    header = Header(SECOND, vault, mode, number, mark, fresh, salt, parameters, b"", b"")
    if client_key is not None:
        header = _with_stored(header, client_key, root)
    both = secret_memory.secret(VAULT_KEY_SIZE + password.KEY_SIZE)
    try:
        both.view[:VAULT_KEY_SIZE], both.view[VAULT_KEY_SIZE:] = key.view, server_key
        wrapped = aead.seal_once(_wrapping_key(header, client_key, root), _around_wrapped(header), both.view)
    finally:
        both.drop()
    return msgspec.structs.replace(header, wrapped=wrapped)


def unwrap(header: Header, client_key: bytes | None, root: Secret | None) -> Unwrapped:
    """Return what these layers open; raises `VaultCorrupt` if the layers are right and the header was altered."""
    both = secret_memory.secret(VAULT_KEY_SIZE + password.KEY_SIZE)
    try:
        aead.open_once_into(_wrapping_key(header, client_key, root), _around_wrapped(header), header.wrapped, both.view)
        unwrapped = Unwrapped(secret_memory.secret(VAULT_KEY_SIZE), secret_memory.secret(password.KEY_SIZE))
        unwrapped.key.view[:] = both.view[:VAULT_KEY_SIZE]
        unwrapped.server_key.view[:] = both.view[VAULT_KEY_SIZE:]
    except AuthenticationFailed:
        raise VaultCorrupt from None
    finally:
        both.drop()
    return unwrapped
