"""What the supervisor believes of a ledger's page, with processes that are names: caller, handler, who is behind it."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, cast

import pytest

from tests.harness.probe import Probe
from tests.harness.stage import JOURNAL, PROBE, PUPPET
from trollbridge.actors.app import App, Child
from trollbridge.actors.handlers import exported
from trollbridge.actors.operations.log import Line, Log
from trollbridge.actors.outcomes.call_account import NOBODY
from trollbridge.actors.outcomes.call_ledger import AT_CURRENT, CURRENT, CallLedger
from trollbridge.actors.outcomes.verdicts import Verdicts
from trollbridge.actors.serving.invocation import Caller, Invocation, Origin
from trollbridge.actors.supervision.barring import Blame
from trollbridge.messages import control
from trollbridge.messages.ids import HandlerUID, MemberId, Microseconds, Role

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from trollbridge.actors.supervision.children import Children
    from trollbridge.actors.supervision.spawn import Process

SECRET: Final = b"SECRETSECRETSECR"
HOLD: Final = exported(Probe)["hold"]
DEADLINE: Final = 77
_NOT_FOR_IT: Final = "it is not run again for this caller until an operator restarts its server"


class Stand:
    """Stands in for a process: who it is."""

    def __init__(self, member: str, role: Role) -> None:
        """Take who."""
        self.member, self.role = MemberId(member), role
        self.identity: Final = {"member": member, "role": role.value, "pid": 1, "incarnation": 1}


class Court:
    """The verdicts of one application, whose servers write their pages here."""

    def __init__(self) -> None:
        """Start everybody."""
        app = App(
            ui=Child(PUPPET, name="puppet"),
            enclaves=[Child(PROBE, name="probe", settings=JOURNAL)],
            hosts=[Child(PROBE, name="front", settings=JOURNAL)],
            extensions=[Child(PUPPET, name="extra"), Child(PUPPET, name="other")],
            grants={
                "puppet": ["probe.hold", "probe.die"],
                "extra": ["probe.hold", "front.hold"],
                "front": ["probe.hold"],
            },
        )
        self.cast: Final = {child.member: Stand(child.member, role) for child, role in app.children}
        self.told: Final[list[control.ToChild]] = []
        self.lines: Final[list[Line]] = []
        log = Log(lambda _: None)
        log.subscribe(self.lines.append)
        self.verdicts: Final = Verdicts(app, cast("Children", self), log)
        self.ledgers: Final[dict[str, CallLedger]] = {}
        for each in ("probe", "front"):
            [page] = self.verdicts.open(self.process(each))
            self.ledgers[each] = CallLedger(os.dup(page))

    def __iter__(self) -> Iterator[Process]:
        """Go over whoever lives."""
        return iter([self.process(each) for each in self.cast])

    def get(self, member: str) -> Process:
        """Return a process."""
        return self.process(member)

    def tell(self, _: object, message: control.ToChild) -> None:
        """Keep what is told."""
        self.told.append(message)

    def process(self, member: str) -> Process:
        """Return a process."""
        return cast("Process", self.cast[MemberId(member)])

    def runs(self, server: str, client: str, digest: bytes = SECRET) -> None:
        """Have a server begin a call of a client's."""
        member = MemberId(client)
        self.ledgers[server].founded(member)
        origin = Origin(member, HandlerUID(bytes(16)), 0)
        call = Invocation(origin, Caller(member, Role.UI), HOLD, ("",), b"", Microseconds(DEADLINE), digest)
        self.ledgers[server].begin(call)

    def forges(self, handler: bytes) -> None:
        """Have the probe write another handler's name over the one in its page."""
        view = self.ledgers["probe"]._view  # what a server may write that is not ours any more
        found = CURRENT.unpack_from(view, AT_CURRENT)
        CURRENT.pack_into(view, AT_CURRENT, *found[:-2], handler, found[-1])

    def dies(self, *, hung: bool = False) -> Line | None:
        """Have the probe die and come again; return the line that is written of its call."""
        before = len(self.lines)
        process = self.process("probe")
        self.verdicts.ended(process, -9, 1, standing=True, died=True, hung=hung)
        [page] = self.verdicts.open(process)
        self.ledgers["probe"] = CallLedger(os.dup(page))
        return self.lines[before] if len(self.lines) > before else None

    def refused(self) -> list[bytes]:
        """Return the digests that the probe has been told last not to run."""
        found = [told.digests for told in self.told if isinstance(told, control.Quarantine)]
        return list(found[-1]) if found else []

    def deadly(self) -> list[tuple[int, ...]]:
        """Return of which of its calls a client was told, at the last death, that they are in quarantine."""
        number = sum(1 for _ in self)
        return [each.deadly for each in self.told[-number:] if isinstance(each, control.Verdict)]


@pytest.fixture
def court() -> Generator[Court]:
    """Keep one."""
    found = Court()
    yield found
    found.verdicts.close()


def test_a_line_about_a_call_says_whose_word_it_is_and_holds_none_of_its_bytes(court: Court) -> None:
    """A37, P5: a server that is not ours any more frames nobody and writes nothing of its choice into the log."""
    court.runs("probe", "extra")
    line = court.dies()
    assert line is not None
    assert (line.event, line.member, line.told_by) == ("call.suspected", "probe", "probe")
    assert line.detail.rpartition(" ")[0] == "hold, called by extra, digest"
    assert SECRET.hex()[:16] not in line.detail
    for handler, client, said in (
        (b"hold", "other", "hold, called by ?"),
        (b"die", "extra", "die, called by ?"),
        (b"SECRET_word", "extra", "?, called by ?"),
    ):
        court.runs("probe", client)
        court.forges(handler)
        line = court.dies()
        assert line is not None
        assert line.detail.partition(", digest")[0] == said


def test_no_deadline_of_an_extension_is_looked_at(court: Court) -> None:
    """K6, P5: nor of a caller that is believed by nothing; those of the UI and of servers are."""
    for client, deadline in (("puppet", DEADLINE), ("front", DEADLINE), ("extra", 0), ("other", 0)):
        court.runs("probe", client)
        running = court.verdicts.running(court.process("probe"))
        assert running is not None
        assert (running.client, running.deadline) == (NOBODY if client == "other" else client, deadline)


def test_a_call_at_which_a_server_hung_is_suspected_for_its_caller_alone(court: Court) -> None:
    """K4, P5: twice by one caller, and it is refused to that one; by two callers once each, to nobody."""
    for client in ("extra", "puppet"):
        court.runs("probe", client)
        court.dies(hung=True)
    assert court.refused() == []
    court.runs("probe", "extra")
    line = court.dies(hung=True)
    assert line is not None
    assert (line.event, line.next) == ("call.quarantined", _NOT_FOR_IT)
    assert court.refused()[0] != SECRET
    court.runs("probe", "other")
    assert court.dies(hung=True) is None, "whose call it was is not known"
    for _ in range(2):
        court.runs("probe", "puppet")
        court.dies()
    assert set(court.refused()[1:]) == {SECRET}, "at which it crashes, to everybody"


def test_whose_call_is_put_in_quarantine_is_told_so_and_nobody_else(court: Court) -> None:
    """K4, A58: so that a client that would send it again knows better, by its server's word of its own page."""
    for client, found in (("puppet", []), ("puppet", [(0,)]), ("extra", [(0,)]), ("other", [])):
        court.runs("probe", client)
        court.dies()
        assert [each for each in court.deadly() if each] == found, "and of who has no grant, it is not its call"


def test_an_operators_restart_lifts_the_quarantine_of_that_server_and_its_servers_are_told(court: Court) -> None:
    """K4: the operator is told which calls there are; another server's are not touched; the log says so once."""
    for _ in range(2):
        court.runs("probe", "puppet")
        court.dies()
    [call] = court.verdicts.quarantined()
    assert (call.handler, call.caller, call.since > 0) == ("probe.hold", "puppet", True)
    before = len(court.lines)
    for member in ("front", "puppet", "broker"):
        court.verdicts.clear(member, 2)
    assert (court.refused(), len(court.lines)) == ([SECRET], before)
    court.verdicts.clear("probe", 2)
    court.verdicts.clear("", 2)
    assert (court.refused(), court.verdicts.quarantined()) == ([], ())
    assert [(line.event, line.member, line.epoch) for line in court.lines[before:]] == [
        ("quarantine.cleared", "probe", 2)
    ]


def test_who_is_behind_a_call_is_found_through_the_servers_that_wait(court: Court) -> None:
    """P5: an extension that has a host call for it; and whatever the pages say, the search ends."""
    probe = court.process("probe")
    by_enclave = Blame(MemberId("extra"), frozenset())
    for client, found in (("extra", by_enclave), ("puppet", None), ("other", None), ("front", None)):
        court.runs("probe", client)
        assert court.verdicts.behind(probe) == found
    court.runs("front", "extra")
    assert court.verdicts.behind(probe) == Blame(MemberId("extra"), frozenset({MemberId("front")}))
    court.runs("front", "front")
    assert court.verdicts.behind(probe) is None
    court.ledgers["probe"].rest()
    assert court.verdicts.behind(probe) is None
    assert court.verdicts.behind(court.process("puppet")) is None
