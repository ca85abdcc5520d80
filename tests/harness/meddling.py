"""Supervisors that meddle: they tell one child something else than they should, so that a boot must fail.

Each function returns an application for `launch`; `settings` are those of `stage.puppet_app`.
"""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import msgspec

from tests.harness.replacing import replace
from tests.harness.stage import puppet_app
from trollbridge.actors.processes.channel import ParentChannel
from trollbridge.actors.supervision import spawn
from trollbridge.messages import control

if TYPE_CHECKING:
    from trollbridge.actors.app import App

Change: TypeAlias = Callable[[str, control.ToChild], "control.ToChild | None"]
"""From whom a message is to (a member) and the message itself, to what is said instead; None for not a word."""


class _Meddling(ParentChannel):
    """A supervisor's end of a control channel, with somebody who changes what is said."""

    change: ClassVar[Change]
    pids: ClassVar[dict[str, int]] = {}
    _member = ""

    def send(self, message: control.ToChild, *descriptors: int) -> None:
        """Send what is to be said instead of `message`, if anything."""
        if isinstance(message, control.Boot):
            self._member = message.member
        changed = _Meddling.change(self._member, message)
        if changed is not None:
            super().send(changed, *descriptors)

    def take(self, pid: int) -> control.FromChild:
        """Take the next message, and learn the PID of who says it."""
        self.pids[self._member] = pid
        return super().take(pid)


def meddling(app: App, change: Change) -> App:
    """Return `app`, to be run in this process by a supervisor whose every word to a child goes through `change`."""
    _Meddling.change = staticmethod(change)
    replace(spawn, ParentChannel=_Meddling)
    return app


def wrong_token(*, member: str, token: str, from_epoch: int = 1, **settings: Any) -> App:  # noqa: ANN401  # passed on
    """Give `member` a join token that is not its own, from an epoch on: `random`, `zero`, `foreign` or `used`."""
    seen: dict[tuple[str, int], bytes] = {}

    def change(member_told: str, message: control.ToChild) -> control.ToChild:
        if not isinstance(message, control.Join) or member_told == "broker":
            return message
        seen.setdefault((member_told, message.epoch), message.token)
        if member_told != member or message.epoch < from_epoch:
            return message
        others = [kept for (name, _), kept in seen.items() if name != member]
        chosen = {
            "random": os.urandom(32),
            "zero": bytes(32),
            "foreign": others[0] if others else message.tickets[0].token,
            "used": seen[member, max(1, message.epoch - 1)],
        }
        return msgspec.structs.replace(message, token=chosen[token])

    return meddling(puppet_app(**settings), change)


def wrong_ticket(*, member: str, **settings: Any) -> App:  # noqa: ANN401  # passed on
    """Give `member` session tokens that its peers do not have."""

    def change(member_told: str, message: control.ToChild) -> control.ToChild:
        if isinstance(message, control.Join) and member_told == member:
            tickets = tuple(msgspec.structs.replace(each, token=os.urandom(32)) for each in message.tickets)
            return msgspec.structs.replace(message, tickets=tickets)
        return message

    return meddling(puppet_app(**settings), change)


def wrong_epoch(*, member: str, **settings: Any) -> App:  # noqa: ANN401  # passed on
    """Tell `member` of another epoch than the others."""

    def change(member_told: str, message: control.ToChild) -> control.ToChild:
        if isinstance(message, control.Join) and member_told == member:
            return msgspec.structs.replace(message, epoch=message.epoch + 1)
        return message

    return meddling(puppet_app(**settings), change)


def short_token(*, member: str, **settings: Any) -> App:  # noqa: ANN401  # passed on
    """Give `member` a join token of 31 bytes."""

    def change(member_told: str, message: control.ToChild) -> control.ToChild:
        if isinstance(message, control.Join) and member_told == member:
            return msgspec.structs.replace(message, token=message.token[:31])
        return message

    return meddling(puppet_app(**settings), change)


def dead_broker(**settings: Any) -> App:  # noqa: ANN401  # passed on
    """Kill the broker when it is to open its first link."""

    def change(member_told: str, message: control.ToChild) -> control.ToChild:
        if isinstance(message, control.OpenLink):
            os.kill(_Meddling.pids[member_told], signal.SIGKILL)
        return message

    return meddling(puppet_app(**settings), change)
