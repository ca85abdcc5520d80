"""What is done about OpenPGP keys.

May import: our desk, our orders, `messages`. Invariant: a password of a key leaves this process stretched only.
"""

from __future__ import annotations

import time
import typing
from typing import TYPE_CHECKING, Final

from trollbridge.messages import s2k
from trollbridge.messages.vault_secrets import SUBJECT_OF_KEYS
from trollbridge.ui_adapter.vault import asking, inputs, key_reports, naming, outputs, passwords
from trollbridge.ui_adapter.vault.constraint_acts import constrain
from trollbridge.ui_adapter.vault.desk import PATIENCE
from trollbridge.ui_adapter.vault.key_orders import (
    AddUserId,
    ConstrainKey,
    DeleteKey,
    ExpireKey,
    ExportPublic,
    ExportRevocation,
    ExportSecret,
    GenerateKey,
    ImportKeys,
    KeyOrder,
    ListKeys,
    RevokeKey,
    RevokeUserId,
    SetKeyPassword,
    ShowKey,
    TrustKey,
)
from trollbridge.ui_adapter.vault.reports import tell

if TYPE_CHECKING:
    from trollbridge.messages.vault import KeyInfo
    from trollbridge.messages.vault_secrets import Constraints
    from trollbridge.ui_adapter.vault.desk import Desk

_OWN: Final = "--own-password"
_LARGEST: Final = 16 << 20
"""Bytes of keys that are imported at once, at most."""


def carry_out(desk: Desk, order: KeyOrder) -> int:  # noqa: C901  # one case for each order
    """Do it; return the exit code."""
    match order:
        case GenerateKey():
            _generate(desk, order)
        case ImportKeys():
            _import(desk, order)
        case ListKeys():
            desk.open()
            keys = [each for each in desk.all_keys() if each.secret or not order.only_secret]
            desk.reporter().table(keys, key_reports.rows(keys, _now()))
        case ShowKey():
            _show(desk, order)
        case ExportPublic():
            outputs.check(order.target, binary=not order.armored)
            key = _found(desk, order.key)
            outputs.write(order.target, desk.vault.export_public(key.fingerprint, order.armored).get(timeout=PATIENCE))
        case ExportSecret() | SetKeyPassword():
            _protect(desk, order)
        case AddUserId() | RevokeUserId() | ExpireKey() | RevokeKey() | ExportRevocation():
            _change_own(desk, order)
        case DeleteKey():
            key = _found(desk, order.key)
            asking.demand(f"Delete {naming.described(key)}?", sure=order.sure)
            desk.using(lambda: desk.vault.delete_key(key.fingerprint).get(timeout=PATIENCE), key.fingerprint)
        case TrustKey():
            key = _found(desk, order.key)
            desk.vault.set_trust(key.fingerprint, order.trusted).get(timeout=PATIENCE)
            _report(desk, key.fingerprint)
        case ConstrainKey():
            key = _found(desk, order.key, own=True)
            constrain(desk, SUBJECT_OF_KEYS + key.fingerprint, order.limits)
        case _:
            typing.assert_never(order)
    return 0


def _now() -> int:
    return int(time.time())


def _found(desk: Desk, name: str, *, own: bool = False) -> KeyInfo:
    """Open the vault and return the key that is named; raises `NotFound`."""
    desk.open()
    return naming.find(desk.all_keys(), name, _now(), own=own)


def _report(desk: Desk, fingerprint: str) -> None:
    """Report a key as it is now."""
    key = naming.find(desk.all_keys(), fingerprint, _now())
    desk.reporter().give(key, key_reports.lines(key, _now()))


def _generate(desk: Desk, order: GenerateKey) -> None:
    desk.open()
    made: KeyInfo = desk.vault.generate(order.user_id, order.profile, order.lifetime or None).get(timeout=PATIENCE)
    desk.reporter().give(made, key_reports.lines(made, _now()))


def _import(desk: Desk, order: ImportKeys) -> None:
    data = inputs.whole(order.file, _LARGEST)
    desk.open()
    keys: tuple[KeyInfo, ...]
    if not key_reports.holds_secret(data):
        keys = desk.vault.import_public(data).get(timeout=PATIENCE)
    else:
        locks = desk.vault.secret_locks(data).get(timeout=PATIENCE)
        password = passwords.existing(order.own, "Password of the secret key: ", _OWN) if locks else ""
        stretched = {lock: s2k.stretch(password, lock) for lock in dict.fromkeys(locks)}
        keys = desk.vault.import_secret(data, tuple(stretched[lock] for lock in locks)).get(timeout=PATIENCE)
    desk.reporter().table(keys, key_reports.rows(keys, _now()))
    for each in keys:
        if each.secret and each.algorithm.lower().startswith("rsa"):
            tell(f"{each.fingerprint} is an RSA key: slow, and its use takes a time that depends on the key")


def _show(desk: Desk, order: ShowKey) -> None:
    key = _found(desk, order.key)
    limits: Constraints | None = None
    if key.secret:
        limits = desk.vault.constraints(SUBJECT_OF_KEYS + key.fingerprint).get(timeout=PATIENCE)
    value = {"key": key, "constraints": limits}
    desk.reporter().give(value, key_reports.lines(key, _now(), limits))


def _protect(desk: Desk, order: ExportSecret | SetKeyPassword) -> None:
    """Put a secret key under a password: a copy of it that leaves, or the one that stays."""
    if isinstance(order, ExportSecret):
        outputs.check(order.target, binary=False)
    key = _found(desk, order.key, own=True)
    removing = isinstance(order, SetKeyPassword) and order.remove
    chosen = "" if removing else passwords.chosen(order.own, f"New password for the key {naming.described(key)}", _OWN)
    protection = None if removing else s2k.new_protection(chosen)
    vault, fingerprint = desk.vault, key.fingerprint
    if isinstance(order, SetKeyPassword):
        desk.using(
            lambda: vault.set_key_password(fingerprint, desk.proof(), protection).get(timeout=PATIENCE), fingerprint
        )
        return
    exported: bytes = desk.using(
        lambda: vault.export_secret(fingerprint, desk.proof(), protection).get(timeout=PATIENCE), fingerprint
    )
    outputs.write(order.target, exported)


def _change_own(desk: Desk, order: AddUserId | RevokeUserId | ExpireKey | RevokeKey | ExportRevocation) -> None:
    """Change the certificate of an own key, or write what would."""
    if isinstance(order, ExportRevocation):
        outputs.check(order.target, binary=False)
    key = _found(desk, order.key, own=True)
    vault, fingerprint = desk.vault, key.fingerprint
    match order:
        case AddUserId():
            desk.using(lambda: vault.add_user_id(fingerprint, order.user_id).get(timeout=PATIENCE), fingerprint)
        case RevokeUserId():
            desk.using(lambda: vault.revoke_user_id(fingerprint, order.user_id).get(timeout=PATIENCE), fingerprint)
        case ExpireKey():
            desk.using(lambda: vault.set_expiry(fingerprint, order.expires or None).get(timeout=PATIENCE), fingerprint)
        case RevokeKey():
            asking.demand(f"Revoke {naming.described(key)} for good?", sure=order.sure)
            desk.using(lambda: vault.revoke_key(fingerprint).get(timeout=PATIENCE), fingerprint)
        case ExportRevocation():
            certificate: bytes = desk.using(
                lambda: vault.revocation_certificate(fingerprint).get(timeout=PATIENCE), fingerprint
            )
            outputs.write(order.target, certificate)
            return
        case _:
            typing.assert_never(order)
    _report(desk, fingerprint)
