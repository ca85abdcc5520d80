"""How many of something the members of a ring may have, each and together."""

from __future__ import annotations

import pytest

from trollbridge.actors.hosts import files, writing
from trollbridge.actors.hosts.shares import Shares
from trollbridge.actors.serving.invocation import Caller
from trollbridge.messages.errors import Overloaded
from trollbridge.messages.ids import MemberId, Role

UI = Caller(MemberId("ui"), Role.UI)


def extension(number: int) -> Caller:
    """Return one of many."""
    return Caller(MemberId(f"plugin-{number}"), Role.EXTENSION)


def test_many_extensions_take_no_more_than_the_total_and_leave_the_core_ui_its_part() -> None:
    """A56: each as many as it may have, until all together have what there is; and what is given back can be had."""
    shares = Shares("folders are being watched", each=8, together=64)
    for number in range(7):
        for _ in range(8):
            shares.take(extension(number))
        with pytest.raises(Overloaded, match=r"^8 folders are being watched already; end one first"):
            shares.take(extension(number))
    with pytest.raises(Overloaded, match=r"^56 folders are being watched already in all"):
        shares.take(extension(8))
    for _ in range(8):
        shares.take(UI)
    with pytest.raises(Overloaded):
        shares.take(UI)
    shares.give(extension(3).member)
    with pytest.raises(Overloaded):  # until what the core UI has is given back too
        shares.take(extension(8))
    for _ in range(8):
        shares.give(UI.member)
    shares.take(extension(8))
    assert shares.members == {f"plugin-{number}" for number in (*range(7), 8)}


def test_all_that_is_open_at_a_time_is_less_than_a_process_and_a_user_may_have() -> None:
    """A56: half of the descriptors of a process, and of the inotify instances that a user has unless told more."""
    most = files.MOST_READ_TOGETHER + 3 * writing.MOST_TOGETHER + files.MOST_WATCHED_TOGETHER
    assert most <= 1024 // 2
    assert files.MOST_WATCHED_TOGETHER <= 128 // 2
