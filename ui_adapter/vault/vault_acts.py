"""What is done about the vault itself.

May import: our desk, our orders, `unlocking`. Invariant: a new password is asked for before anything is changed.
"""

from __future__ import annotations

import contextlib
import typing
from typing import TYPE_CHECKING, Final

from trollbridge.messages.errors import VaultCorrupt
from trollbridge.messages.vault import KEYCHAIN_ONLY, MISSING, OPEN, CheckReport
from trollbridge.ui_adapter import unlocking
from trollbridge.ui_adapter.vault import exit_codes, inputs, outputs, passwords
from trollbridge.ui_adapter.vault.desk import PATIENCE
from trollbridge.ui_adapter.vault.orders import (
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
from trollbridge.ui_adapter.vault.reports import tell

if TYPE_CHECKING:
    from trollbridge.messages.vault import VaultStatus
    from trollbridge.ui_adapter.vault.desk import Desk

_NEW: Final = "New password for the vault"
_RECOVERY_SIZE: Final = 64 << 10
"""Bytes of a recovery file at most."""


def carry_out(desk: Desk, order: VaultOrder) -> int:  # noqa: PLR0911  # one for each order
    """Do it; return the exit code."""
    match order:
        case CreateVault():
            return _create(desk, order)
        case ShowStatus():
            return _report(desk, desk.status())
        case TryUnlock():
            desk.open()
            return _report(desk, desk.status())
        case ChangePassword():
            return _change_password(desk, order)
        case RotateRoot():
            desk.open()
            unlocking.rotate_root(desk.vault, desk.password)
            tell("the keychain holds a new root; recovery files of the old one are worthless now")
            return 0
        case ChangeMode():
            return _change_mode(desk, order)
        case ExportRecovery():
            return _export(desk, order)
        case ImportRecovery():
            return _import(desk, order)
        case CheckVault():
            return _check(desk, order)
        case _:
            typing.assert_never(order)


def _report(desk: Desk, status: VaultStatus) -> int:
    value = {"path": desk.request.vault, "status": status}
    lines = [f"{desk.request.vault}: {status.state}"]
    if status.state != MISSING:
        lines.append(f"protected by: {status.mode}{'' if status.state == OPEN else ', as the file says'}")
        lines.append(f"wrong passwords since it was last opened: {status.failed_attempts}")
    if status.wait > 0:
        lines.append(f"the next password is taken in {status.wait:.0f} s")
    desk.reporter().give(value, lines)
    return 0


def _create(desk: Desk, order: CreateVault) -> int:
    password = None if order.mode == KEYCHAIN_ONLY else desk.new_password()
    return _report(desk, unlocking.create(desk.vault, password, order.mode))


def _change_password(desk: Desk, order: ChangePassword) -> int:
    desk.open()
    if desk.password is None:
        tell("the vault has no password; `trollbridge vault change-mode` gives it one")
        return exit_codes.FAILED
    unlocking.change_password(desk.vault, desk.password, passwords.chosen(order.new, _NEW, "--new-password"))
    tell("the vault has a new password; copies of its file that were made before still open with the old one")
    return 0


def _change_mode(desk: Desk, order: ChangeMode) -> int:
    desk.open()
    new = None
    if desk.password is None and order.mode != KEYCHAIN_ONLY:
        new = passwords.chosen(order.new, _NEW, "--new-password")
    unlocking.change_mode(desk.vault, desk.password, order.mode, new)
    return _report(desk, desk.status())


def _export(desk: Desk, order: ExportRecovery) -> int:
    outputs.check(order.target, binary=True)
    desk.open()
    password = passwords.chosen(order.recovery, "New password for the recovery file", "--recovery-password")
    outputs.write(order.target, unlocking.export_recovery(desk.vault, desk.password, password))
    return 0


def _import(desk: Desk, order: ImportRecovery) -> int:
    data = inputs.whole(order.file, _RECOVERY_SIZE)
    password = passwords.existing(order.recovery, "Password of the recovery file: ", "--recovery-password")
    unlocking.recover(desk.vault, data, password)
    tell("the root is in this machine's keychain")
    return 0


def _check(desk: Desk, order: CheckVault) -> int:
    with contextlib.suppress(VaultCorrupt):  # the examination tells what is damaged
        if not order.locked:
            desk.open()
    report: CheckReport = desk.vault.check().get(timeout=PATIENCE)
    lines = [f"{each.record}: {each.problem}" for each in report.findings]
    how = "" if report.whole else ", without the key"
    lines.append(f"{report.records} records looked at{how}; {len(report.findings) or 'no'} damage found")
    desk.reporter().give(report, lines)
    return exit_codes.FAILED if report.findings else 0
