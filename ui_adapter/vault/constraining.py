"""The options that constrain a key or an API key.

May import: `click`, our options and orders. Invariant: an option that is not given changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

import click

from trollbridge.messages.vault_secrets import MOST_PER_HOUR
from trollbridge.ui_adapter.vault.options import Moment
from trollbridge.ui_adapter.vault.orders import Limits

if TYPE_CHECKING:
    from collections.abc import Callable

    F = TypeVar("F", bound=Callable[..., object])

_OPTIONS: Final = (
    click.option("--approval/--no-approval", default=None, help="Each use must be approved, at a terminal."),
    click.option(
        "--member",
        "members",
        multiple=True,
        metavar="NAME",
        help="Only these members may use it; these commands are the member `command`.",
    ),
    click.option("--any-member", is_flag=True, help="Any member that is granted the call may use it."),
    click.option(
        "--per-hour", type=click.IntRange(0, MOST_PER_HOUR), metavar="N", help="At most N an hour; 0: no limit."
    ),
    click.option("--until", type=Moment(), metavar="WHEN", help="No use from then on: 90d, 2027-12-31, or never."),
)


def constraints(function: F) -> F:
    """Add the options."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def limits(
    approval: bool | None,  # noqa: FBT001  # as click gives it
    members: tuple[str, ...],
    per_hour: int | None,
    until: int | None,
    *,
    any_member: bool,
) -> Limits:
    """Return what is to change; raises `click.UsageError` for a contradiction."""
    if members and any_member:
        msg = "--member and --any-member exclude each other"
        raise click.UsageError(msg)
    return Limits(approval, () if any_member else members or None, per_hour, until)
