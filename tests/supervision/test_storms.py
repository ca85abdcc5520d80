"""Storms: any signal to anybody, in any order, between any two lines of the log; then all must end as it should."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import no_process_left
from tests.harness.puppeteer import perform
from tests.harness.streams import NothingCame
from tests.processes.ring_order import assert_one_ring_after_the_other

if TYPE_CHECKING:
    from tests.harness.puppeteer import Puppeteer

MEMBERS: Final = ("probe", "second", "broker", "puppet")
DEADLY: Final = (signal.SIGKILL, signal.SIGSTOP, signal.SIGSEGV, signal.SIGCONT)
BLOWS: Final = st.tuples(st.sampled_from(MEMBERS), st.sampled_from(DEADLY)) | st.just(("supervisor", signal.SIGHUP))
STORMS: Final = st.lists(st.tuples(st.integers(0, 8), BLOWS), min_size=1, max_size=6)
"""After how many more lines of the log which blow falls on whom."""


def strike(puppet: Puppeteer, member: str, number: signal.Signals) -> None:
    """Send a signal to the supervisor, or to a member's youngest process if it lives."""
    if member == "supervisor":
        puppet.interrupt(number)
        return
    pid = puppet.pid(member)
    if not puppet.lines("process.ended", pid=pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


@given(STORMS)
@settings(max_examples=max(6, settings().max_examples // 20))
def test_after_any_storm_the_rings_came_one_by_one_and_nothing_is_left(
    storm: list[tuple[int, tuple[str, signal.Signals]]],
) -> None:
    """A50, A59, K6: whatever was killed, stopped or hung up when: SIGTERM ends it, in order, without a word."""
    with no_process_left(), perform(restarts=1000, beat=0.05, grace=0.3, enclaves=("probe", "second")) as puppet:
        for lines, (member, number) in storm:
            with contextlib.suppress(NothingCame):  # it may be at rest
                puppet.log.wait(lambda _: True, 0.2, start=len(puppet.log.items) + lines)
            strike(puppet, member, number)
        puppet.interrupt(signal.SIGTERM)
        assert puppet.finish() == 128 + signal.SIGTERM
        assert puppet.said() == []
        assert_one_ring_after_the_other(puppet)
