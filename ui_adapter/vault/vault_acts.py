"""What is done about the vault itself.

May import: our desk, our orders, `unlocking`. Invariant: a new password is asked for before anything is changed.
"""

from __future__ import annotations

import contextlib
import typing
from typing import TYPE_CHECKING, Final

from trollbridge.messages.errors import KeychainFailed, VaultCorrupt, VaultExists, WrongMode
from trollbridge.messages.vault import KEYCHAIN_ONLY, MISSING, OPEN, PASSWORD_ONLY, CheckReport
from trollbridge.ui_adapter import unlocking
from trollbridge.ui_adapter.vault import exit_codes, inputs, outputs, passwords
from trollbridge.ui_adapter.vault.desk import PATIENCE
from trollbridge.ui_adapter.vault.first_steps import WITHOUT
from trollbridge.ui_adapter.vault.orders import (
    AdoptVault,
    ChangeMode,
    ChangePassword,
    CheckVault,
    CreateVault,
    ExportRecovery,
    ImportRecovery,
    RotateRoot,
    ShowStatus,
    TryUnlock,
    VaultOrder,
)
from trollbridge.ui_adapter.vault.refusals import OtherVault
from trollbridge.ui_adapter.vault.reports import tell

if TYPE_CHECKING:
    from trollbridge.messages.vault import VaultStatus
    from trollbridge.ui_adapter.vault.desk import Desk
    from trollbridge.ui_adapter.vault.known_vaults import Known

_NEW: Final = "New password for the vault"
_RECOVERY_SIZE: Final = 64 << 10
"""Bytes of a recovery file at most."""


def carry_out(desk: Desk, order: VaultOrder) -> int:  # noqa: C901  # one case for each order
    """Do it; return the exit code."""
    match order:
        case CreateVault():
            _create(desk, order)
        case ShowStatus():
            status = desk.status()
            _report(desk, status, status.state, status)
            return exit_codes.NO_VAULT if status.state == MISSING else 0
        case TryUnlock():
            desk.open()
            _report(desk, desk.status(), _opens(desk), desk.before)
        case AdoptVault():
            desk.open(adopting=True)
            _report(desk, desk.status(), "accepted", desk.before)
        case ChangePassword():
            _change_password(desk, order)
        case RotateRoot():
            desk.open()
            unlocking.rotate_root(desk.vault, desk.password)
            tell("the keychain holds a new root; recovery files of the old one are worthless now")
            _remind(desk.status())
        case ChangeMode():
            _change_mode(desk, order)
        case ExportRecovery():
            _export(desk, order)
        case ImportRecovery():
            _import(desk, order)
        case CheckVault():
            return _check(desk, order)
        case _:
            typing.assert_never(order)
    return 0


def _opens(desk: Desk) -> str:
    """Return what an opening has shown."""
    if desk.password is None:
        return "the keychain opens it"
    mode = "" if desk.before is None else desk.before.mode
    return "the password is right" if mode == PASSWORD_ONLY else "the password is right, and the keychain has the root"


def _remind(status: VaultStatus) -> None:
    """Tell that what is in the keychain only is lost with it."""
    if status.mode != PASSWORD_ONLY:
        tell("keep a recovery file too: trollbridge vault recovery export FILE")


def _report(desk: Desk, status: VaultStatus, what: str, before: VaultStatus | None) -> None:
    """Tell what was done, and how the vault stands; `before`: how it stood when the wrong passwords still counted."""
    known, doubt = _known(desk, status)
    value = {"path": desk.request.vault, "status": status, "known": known}
    lines = [f"{desk.request.vault}: {what}"]
    if status.state != MISSING:
        lines.append(f"protected by: {status.mode}{'' if status.state == OPEN else ', as the file says'}")
    if before is not None and before.state != MISSING and before.mode != KEYCHAIN_ONLY:
        lines.append(f"wrong passwords since it was last opened: {before.failed_attempts}")
    if status.wait > 0:
        lines.append(f"the next password is taken in {status.wait:.0f} s")
    if doubt:
        lines.append(doubt)
    desk.reporter().give(value, lines)


def _known(desk: Desk, status: VaultStatus) -> tuple[Known | None, str]:
    """Return what is known of the path, and what speaks against the vault that is there now."""
    known: Known | None = None
    try:
        known = desk.known.noted()
        if status.state != MISSING:
            desk.known.demanded(status, "")
    except (OtherVault, WrongMode) as doubt:
        return known, str(doubt)
    return known, ""


def _create(desk: Desk, order: CreateVault) -> None:
    if desk.status().state != MISSING:
        msg = f"a vault is already there, and was left as it is: {desk.request.vault}"
        raise VaultExists(msg)
    password = None if order.mode == KEYCHAIN_ONLY else desk.new_password()
    try:
        made = unlocking.create(desk.vault, password, order.mode)
    except KeychainFailed as error:
        msg = f"{str(error).rstrip('.')}; {WITHOUT}"
        raise KeychainFailed(msg) from None
    desk.known.remember(made)
    _report(desk, made, "made", None)
    _remind(made)


def _change_password(desk: Desk, order: ChangePassword) -> None:
    desk.open()
    if desk.password is None:
        msg = "the vault has no password; `trollbridge vault change-mode` gives it one"
        raise WrongMode(msg)
    unlocking.change_password(desk.vault, desk.password, passwords.chosen(order.new, _NEW, "--new-password"))
    tell("the vault has a new password; copies of its file that were made before still open with the old one")


def _change_mode(desk: Desk, order: ChangeMode) -> None:
    desk.open()
    new = None
    if desk.password is None and order.mode != KEYCHAIN_ONLY:
        new = passwords.chosen(order.new, _NEW, "--new-password")
    unlocking.change_mode(desk.vault, desk.password, order.mode, new)
    changed = desk.status()
    desk.known.remember(changed)
    _report(desk, changed, "changed", None)
    if desk.password is not None and order.mode == KEYCHAIN_ONLY:
        tell("the password does not count any more: whoever has your session opens the vault")
    _remind(changed)


def _export(desk: Desk, order: ExportRecovery) -> None:
    outputs.check(order.target, binary=True)
    desk.open()
    password = passwords.chosen(order.recovery, "New password for the recovery file", "--recovery-password")
    outputs.write(order.target, unlocking.export_recovery(desk.vault, desk.password, password))


def _import(desk: Desk, order: ImportRecovery) -> None:
    data = inputs.whole(order.file, _RECOVERY_SIZE)
    desk.status()
    password = passwords.existing(order.recovery, "Password of the recovery file: ", "--recovery-password")
    unlocking.recover(desk.vault, data, password)
    desk.known.forget_other(desk.status())
    tell("the root is in this machine's keychain")


def _check(desk: Desk, order: CheckVault) -> int:
    with contextlib.suppress(VaultCorrupt):  # the examination tells what is damaged
        if order.locked:
            desk.status()
        else:
            desk.open()
    report: CheckReport = desk.vault.check().get(timeout=PATIENCE)
    lines = [f"{each.record}: {each.problem}" for each in report.findings]
    how = "" if report.whole else ", without the key"
    count = len(report.findings)
    found = "no damage" if not count else "1 damage" if count == 1 else f"{count} damages"
    lines.append(f"{report.records} record{'s'[: report.records != 1]} looked at{how}; {found} found")
    desk.reporter().give(report, lines)
    return exit_codes.FAILED if report.findings else 0
