r"""The recovery file: the root of one vault, sealed under a password of its own, for a machine without it.

May import: `msgspec`, our actors' secret memory, our enclave's header, our messages. Invariants: it opens with its own
password only, and only for the vault and the root that it was made of; it holds nothing but the root, so where the
vault has a password, that is needed all the same.

    file    := "trollbridge recovery 1\n" | digest(VAULT_RECOVERY_FILE, body) | body
    body    := MessagePack [vault id, number, salt, parameters, StoredKey, sealed]
    sealed  := root, under derive(VAULT_RECOVERY, ClientKey, vault id, number, salt)
    associated data of `sealed` := the body without `sealed`

ClientKey and StoredKey are those of the recovery password (`messages/password.py`): it is hashed where it was typed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from trollbridge.actors.isolation import secret_memory
from trollbridge.enclave.header import ROOT_SIZE, fits
from trollbridge.messages import aead, labels, password
from trollbridge.messages.codec import Codec, encode
from trollbridge.messages.errors import AuthenticationFailed, Malformed, NotARecoveryFile
from trollbridge.messages.vault import PasswordParameters, Verifier

if TYPE_CHECKING:
    from trollbridge.enclave.header import Header
    from trollbridge.messages.secret import Secret

MAGIC: Final = b"trollbridge recovery 1\n"
_DIGEST_SIZE: Final = 32
_OTHER_VAULT: Final = "It is the recovery file of another vault."
_OLDER: Final = "The recovery file holds an older root: the root or the mode was changed since; use a newer file."
_DAMAGED: Final = "The recovery file is damaged."


class RecoveryFile(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a recovery file says in clear."""

    vault: bytes
    number: int
    salt: bytes
    parameters: PasswordParameters
    stored_key: bytes
    sealed: bytes

    def __repr__(self) -> str:
        """Show which vault it is for."""
        return f"<RecoveryFile for {self.vault.hex()}>"


_BODY: Final[Codec[RecoveryFile]] = Codec(RecoveryFile)


def _key(file: RecoveryFile, client_key: bytes) -> bytes:
    return labels.derive(labels.VAULT_RECOVERY, client_key, file.vault, encode(file.number), file.salt)


def _associated(file: RecoveryFile) -> bytes:
    return encode([file.vault, file.number, file.salt, file.parameters, file.stored_key])


def seal(header: Header, root: Secret, verifier: Verifier) -> bytes:
    """Return the recovery file of this root; `verifier` is checked already."""
    stored_key = password.stored_key(verifier.client_key)
    file = RecoveryFile(header.vault, header.number, verifier.salt, verifier.parameters, stored_key, b"")
    sealed = aead.seal_once(_key(file, verifier.client_key), _associated(file), root.view)
    body = _BODY.encode(msgspec.structs.replace(file, sealed=sealed))
    return MAGIC + labels.digest(labels.VAULT_RECOVERY_FILE, body) + body


def parse(data: bytes, header: Header) -> RecoveryFile:
    """Return what a recovery file says; raises `NotARecoveryFile` unless it is whole and for this vault's root."""
    if not data.startswith(MAGIC):
        raise NotARecoveryFile
    digest, body = data[len(MAGIC) :][:_DIGEST_SIZE], data[len(MAGIC) + _DIGEST_SIZE :]
    if labels.digest(labels.VAULT_RECOVERY_FILE, body) != digest:
        raise NotARecoveryFile(_DAMAGED)
    try:
        file = _BODY.decode(body)
    except Malformed:
        raise NotARecoveryFile(_DAMAGED) from None
    if (len(file.salt), len(file.stored_key)) != (password.SALT_SIZE, password.KEY_SIZE):
        raise NotARecoveryFile(_DAMAGED)
    if file.vault != header.vault:
        raise NotARecoveryFile(_OTHER_VAULT)
    if file.number != header.number:
        raise NotARecoveryFile(_OLDER)
    return file


def open_root(file: RecoveryFile, header: Header, client_key: bytes) -> Secret:
    """Return the root; raises `NotARecoveryFile` if it is not what the file says, or not this vault's."""
    root = secret_memory.secret(ROOT_SIZE)
    try:
        aead.open_once_into(_key(file, client_key), _associated(file), file.sealed, root.view)
        if not fits(header, root):
            raise NotARecoveryFile(_DAMAGED)
    except AuthenticationFailed:
        root.drop()
        raise NotARecoveryFile(_DAMAGED) from None
    except BaseException:
        root.drop()
        raise
    return root
