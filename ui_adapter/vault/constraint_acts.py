"""Changing what limits the use of a key.

May import: our desk, our orders, `messages`. Invariant: what is not named stays as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trollbridge.messages.vault_secrets import Constraints
from trollbridge.ui_adapter.vault import key_reports
from trollbridge.ui_adapter.vault.desk import PATIENCE
from trollbridge.ui_adapter.vault.orders import MEMBER
from trollbridge.ui_adapter.vault.reports import tell

if TYPE_CHECKING:
    from trollbridge.ui_adapter.vault.desk import Desk
    from trollbridge.ui_adapter.vault.orders import Limits


def changed(before: Constraints, limits: Limits) -> Constraints:
    """Return the constraints with what `limits` names in place of what was there."""
    return Constraints(
        before.approval if limits.approval is None else limits.approval,
        before.members if limits.members is None else limits.members,
        before.per_hour if limits.per_hour is None else limits.per_hour,
        before.until if limits.until is None else limits.until or None,
    )


def constrain(desk: Desk, subject: str, limits: Limits) -> None:
    """Change a key's constraints, in the open vault, with a fresh proof of its password; report them as they are."""
    before: Constraints = desk.vault.constraints(subject).get(timeout=PATIENCE)
    after = changed(before, limits)
    if after != before:
        desk.vault.constrain(subject, after, desk.proof()).get(timeout=PATIENCE)
    desk.reporter().give(after, key_reports.limit_lines(after))
    others = [each for each in limits.members or () if each != MEMBER]
    if others:
        here = "" if MEMBER in (limits.members or ()) else f"; {MEMBER}, which is these commands, may not use it"
        tell(f"taken as members of applications, whose names nobody has checked: {', '.join(others)}{here}")
