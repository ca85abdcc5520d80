"""The same table on real processes: each way to end under each restart type, groups of each strategy, in one ring."""

from __future__ import annotations

import itertools
import resource
import signal
from typing import TYPE_CHECKING, Final

import pytest

from tests.harness.running import Running
from tests.supervision.endings import WAYS
from trollbridge.actors.supervision.declaring import Restart
from trollbridge.actors.supervision.reasons import ORDERLY, Reason

if TYPE_CHECKING:
    from pathlib import Path

    from trollbridge.actors.operations.log import Line

SIGNS: Final = {"process.started": "+", "extension.joined": "^", "child.stopping": "?", "process.ended": "-"}
GROUPED: Final = {
    *("all_a", "all_b", "all_c", "before", "inner_a", "inner_b", "after", "fleeting_a", "fleeting_b"),
}

STANDARD: Final = 3
"""Descriptors: input, output, error; whoever may have no more of them can open none."""
START: Final = 120.0
"""Seconds that two dozen processes may take to start at once, on a slow machine."""


class Story:
    """What has happened in one application, which has ended since: its log, and where in it each blow fell."""

    def __init__(self, running: Running) -> None:
        """Take a running application."""
        self.running: Final = running
        self.blows: Final[dict[str, int]] = {}

    def strike(self, struck: str, event: str, last: str) -> None:
        """Kill a member's process, and wait for what is to come of it in the end."""
        self.blows[struck] = start = len(self.running.log.items)
        self.running.kill(struck, signal.SIGKILL)
        self.running.wait_for(event, start=start, member=last)

    def since(self, member: str) -> list[Line]:
        """Return the lines that came once a member was struck, up to the next blow."""
        at = self.blows[member]
        end = min((each for each in self.blows.values() if each > at), default=None)
        return [each for each in self.running.log.items[at:end] if not isinstance(each, str)]

    def told(self, struck: str, *members: str) -> list[str]:
        """Return what happened to some members once one was struck, in short."""
        lines = [each for each in self.since(struck) if each.member in members]
        return [f"{SIGNS[each.event]}{each.member[-1]}" for each in lines if each.event in SIGNS]

    def line(self, struck: str, event: str, **fields: object) -> Line:
        """Return the one line of an event since a blow."""
        lines = [each for each in self.since(struck) if each.event == event]
        [found] = [each for each in lines if all(getattr(each, name) == value for name, value in fields.items())]
        return found


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """Run the application to its end, with everything that is to happen in it."""
    folder = tmp_path_factory.mktemp("journals")
    with Running("tests.supervision.endings:matrix", {"folder": str(folder), "beat": 0.1}) as running:
        story = Story(running)
        for member in GROUPED:
            running.wait_for("extension.joined", member=member, seconds=START)
        for restart, reason in itertools.product(Restart, Reason):
            again = returns(restart, reason)
            event = "extension.joined" if again else "process.ended"
            running.wait_for(event, member=f"{restart}_{WAYS[reason]}", incarnation=2 if again else 1, seconds=START)
        story.strike("all_b", "extension.joined", "all_c")
        story.strike("inner_a", "extension.joined", "after")
        story.strike("fleeting_a", "child.gone", "fleeting_b")
        running.interrupt(signal.SIGTERM)
        running.finish(START)
    return story


def returns(restart: Restart, reason: Reason) -> bool:
    """Return whether a child is started again."""
    return restart is Restart.PERMANENT or (restart is Restart.TRANSIENT and reason not in ORDERLY)


@pytest.mark.parametrize("restart", Restart)
def test_a_process_that_ends_in_this_way_is_started_again_or_not(story: Story, restart: Restart) -> None:
    """A55: {permanent, transient, temporary} × six ways to end, as real processes; the log says why and what next."""
    ring = story.running
    for reason, way in WAYS.items():
        member, again = f"{restart}_{way}", returns(restart, reason)
        [ended] = ring.lines("process.ended", member=member, incarnation=1)
        assert ended.next == ("it is started again" if again else "it is not started again until the next ring")
        assert len(ring.lines("process.started", member=member)) == 1 + again
        decided = [(line.why, line.detail) for line in ring.lines("child.restarting", member=member)]
        assert decided == ([(reason.value, "root")] if again else [])
        assert len(ring.lines("child.gone", member=member)) == (not again and restart is not Restart.TEMPORARY)


def test_one_for_all_stops_the_others_in_reverse_and_starts_all_in_order(story: Story) -> None:
    """A55: each is stopped once the one after it has ended, and started once the one before it is ready."""
    told = story.told("all_b", "all_a", "all_b", "all_c")
    assert told == ["-b", "?c", "-c", "?a", "-a", "+a", "^a", "+b", "^b", "+c", "^c"]
    line = story.line("all_b", "child.restarting")
    assert (line.member, line.why, line.detail, line.next) == ("all_b", "signal", "all", "with it all_a, all_c")
    assert story.line("all_b", "process.ended", member="all_b").next == "it is started again, and with it all_a, all_c"
    assert story.line("all_b", "process.ended", member="all_a").expected


def test_a_group_that_gives_up_is_started_again_by_the_group_above(story: Story) -> None:
    """A55: the escalation: what is left is stopped, the group above counts it; its strategy is rest_for_one."""
    told = story.told("inner_a", "before", "inner_a", "inner_b", "after")
    assert told[:7] == ["-a", "?b", "-b", "?r", "-r", "+a", "+b"]
    assert set(told[7:9]) == {"^a", "^b"}, "they do not depend on each other"
    assert told[9:] == ["+r", "^r"]
    gave_up, again = story.line("inner_a", "group.gave_up"), story.line("inner_a", "group.restarting")
    assert (gave_up.detail, gave_up.why) == ("inner", "inner_a ended too often, last by signal")
    assert (again.detail, again.why, again.next, again.restart) == ("inner", "shutdown", "with it after", 1)


def test_a_temporary_group_that_gives_up_is_gone_and_who_does_not_end_is_killed(story: Story) -> None:
    """A55: request, bounded wait, kill; then nobody starts it again, and nobody else minds."""
    assert story.told("fleeting_a", "fleeting_a", "fleeting_b")[:3] == ["-a", "?b", "-b"]
    assert story.line("fleeting_a", "process.killed").member == "fleeting_b", "and nobody else to the end"
    assert story.line("fleeting_a", "process.ended", member="fleeting_b").signal == "SIGKILL"
    assert [line.member for line in story.running.lines("child.gone", epoch=1)][-2:] == ["fleeting_a", "fleeting_b"]


def test_nothing_of_all_this_has_cost_the_ring_anything(story: Story) -> None:
    """A55: two dozen deaths later it is the first ring; only then it falls, because the application stops."""
    ring = story.running
    assert [line.epoch for line in ring.lines("ring.sealed")] == [1]
    [fall] = ring.lines("ring.dismantling")
    assert fall.why == "SIGTERM"
    said = [line for line in ring.said() if "start_failure: extension failed: OSError" not in line]
    assert said == []


def refused_once(running: Running) -> str:
    """Kill an extension when the supervisor can open nothing more; return why it could not be started, once it was."""
    before = resource.prlimit(running.supervisor, resource.RLIMIT_NOFILE)
    start = len(running.log.items)
    resource.prlimit(running.supervisor, resource.RLIMIT_NOFILE, (STANDARD, before[1]))
    running.kill("stays")
    refused = running.wait_for("child.not_started", start=start, member="stays")
    resource.prlimit(running.supervisor, resource.RLIMIT_NOFILE, before)
    running.wait_for("extension.joined", start=start, member="stays")
    return refused.why


def test_a_start_that_fails_is_a_death_and_the_end_of_all_is_the_reverse_of_the_start(tmp_path: Path) -> None:
    """A55, A59, P2: a start without end is bounded; one that the system refuses is tried again; the ring stands.

    In the end extensions, UI, hosts, enclaves and broker are stopped, each once the one after it has ended.
    """
    journal = tmp_path / "journal"
    journal.touch()
    with Running("tests.supervision.pacing_app:starts", {"journal": str(journal), "limit": 0.2}) as running:
        late = running.wait_for("start.timeout", member="dawdles", incarnation=1)
        assert late.next == "it is killed"
        assert running.wait_for("child.restarting", member="dawdles").why == "start failure"
        running.wait_for("extension.joined", member="dawdles")
        running.wait_for("extension.joined", member="stays")
        assert refused_once(running) == "it could not be started: Too many open files"
        assert [line.epoch for line in running.lines("ring.sealed")] == [1]
        before = len(running.lines("process.ended"))
        running.interrupt(signal.SIGTERM)
        assert running.finish() == 128 + signal.SIGTERM
        ended = [line.member for line in running.lines("process.ended")[before:]]
        assert ended == ["stays", "dawdles", "puppet", "store_2", "store", "probe", "broker"]
