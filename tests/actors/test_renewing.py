"""Hosts that come back, as their client sees it: whatever comes first, no call is lost, told wrongly or run twice."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING, Any

import pytest

from tests.actors.host_stage import ECHO, HOSTS, STEPS, UI, Stage
from trollbridge.actors.broker.uids import CREDIT
from trollbridge.actors.calling.opening import absent
from trollbridge.actors.handlers import handler
from trollbridge.actors.host import HostActor
from trollbridge.messages.control import Away, Renew, SessionTicket, Verdict, Withdrawn
from trollbridge.messages.errors import Malformed, Outcome, ServerLost
from trollbridge.messages.ids import HandlerName, HandlerUID, Role
from trollbridge.messages.record import Item, Lease, Left, Routed

if TYPE_CHECKING:
    from collections.abc import Generator

    from trollbridge.actors.calling.promise import Promise

LONG = 300_000


@pytest.fixture
def stage() -> Generator[Stage]:
    """Return a client and its host."""
    found = Stage()
    yield found
    found.close()


def told(promise: Promise[Any]) -> str:
    """Return how a call has ended."""
    assert promise.done
    try:
        promise.get()
    except ServerLost as error:
        return error.outcome.value
    return "value"


@pytest.mark.parametrize("replicas", [1, 2])
def test_whatever_comes_first_each_call_ends_as_it_should(replicas: int) -> None:
    """F8, R4, A58: sixty orders of what a link, a supervisor and a host may do, and calls in between.

    Nobody is struck for it, nothing is run twice; who has its value has been run once, who was not started never; and
    at the end calls go through, long ones too.
    """
    for seed in range(60):
        chance = random.Random(seed)  # the same orders each time
        stage = Stage(replicas)
        calls: dict[bytes, Promise[Any]] = {}
        for number in range(60):
            action = chance.randrange(10)
            if action == 0:
                member = chance.choice(stage.members)
                (stage.dies if member in stage.hosts else stage.comes)(member)
            elif action <= 2:
                data = b"%d" % number + bytes(chance.choice((0, 0, 0, 20_000)))
                calls[data] = stage.call(data)
            else:
                chance.choice(STEPS)(stage)
        for member in stage.members:
            if member not in stage.hosts:
                stage.comes(member)
        for _ in range(3):
            stage.until_quiet()
        ran = [data for _, data in stage.ran]
        assert len(ran) == len(set(ran)), seed
        ends = {data: told(promise) for data, promise in calls.items()}
        assert {data for data, end in ends.items() if end == "value"} <= set(ran), seed
        assert not {data for data, end in ends.items() if end == "not started"} & set(ran), seed
        assert (stage.notices, stage.refused) == ([], []), seed
        late = [stage.call(b"late"), stage.call(b"l" * LONG)][: 1 + (seed % 20 == 0)]
        stage.until_quiet()
        assert [told(each) for each in late] == ["value"] * len(late), seed
        assert not stage.membership.renewing.unsettled, seed
        stage.close()


def test_a_call_that_had_not_left_is_made_again_and_one_that_had_is_told(stage: Stage) -> None:
    """A58: the last words of the old process count; of what it had and did not answer, nothing is known."""
    answered = stage.call(b"answered")
    stage.until_quiet()
    assert told(answered) == "value"
    answered, sent = stage.call(b"reply on its way"), stage.call(b"sent")
    stage.send_out()
    stage.hosts_take()
    stage.runs(1)
    stage.hosts_take()
    kept = stage.call(b"kept")
    stage.dies()
    stage.word()
    waits = stage.call(b"waits")
    stage.client_takes()
    stage.comes()
    stage.until_quiet()
    assert [told(each) for each in (answered, sent, kept, waits)] == ["value", "unknown", "value", "value"]
    assert stage.ran[1:] == [(1, b"reply on its way"), (2, b"kept"), (2, b"waits")]


def test_a_verdict_tells_even_before_the_host_has_left(stage: Stage) -> None:
    """A58: the supervisor's word and the broker's come over two sockets."""
    done, started, waited = (stage.call(each) for each in (b"done", b"started", b"waited"))
    stage.until_quiet()
    assert told(done) == "value"
    started, waited = stage.call(b"started"), stage.call(b"waited")
    stage.send_out()
    sequences = [each.sequence for each in stage.membership.pending.values()]
    stage.dies()
    stage.word()
    assert stage.membership.renewing.judge(Verdict(HOSTS[0], sequences[0], (sequences[0],), ()))
    stage.client_takes()
    assert [told(started), told(waited)] == ["unknown", "not started"]
    assert not stage.membership.renewing.judge(Verdict(HOSTS[0], 0, (), ()))
    assert not stage.membership.renewing.judge(Verdict("stranger", 0, (), ()))


def test_while_a_host_is_away_its_calls_wait_and_can_be_given_up(stage: Stage) -> None:
    """A45, F7: nothing is asked of the broker for them; once it is back, they go out in their order."""
    stage.dies()
    stage.word()
    first, second, third = stage.call(b"1"), stage.call(b"2"), stage.call(b"3")
    stage.until_quiet()
    assert not stage.membership.renewing.unsettled
    assert not stage.membership.starving
    second.cancel()
    stage.membership.forget(second)
    assert [each.done for each in (first, third)] == [False, False]
    stage.comes()
    stage.until_quiet()
    assert [told(first), told(third)] == ["value", "value"]
    assert stage.ran == [(2, b"1"), (2, b"3")]


def test_a_host_that_does_not_come_back_ends_what_waits_and_what_comes(stage: Stage) -> None:
    """A58: not started, whoever asks; and if it comes back after all, it is as if it had been away."""
    stage.dies()
    stage.words.append(Withdrawn(HOSTS[0]))
    stage.word()
    waits = stage.call()
    stage.until_quiet()
    assert told(waits) == "not started"
    assert ECHO not in stage.membership.routes
    found = absent(stage.membership, ECHO)
    assert isinstance(found, ServerLost)
    assert (found.outcome, "does not come back" in str(found)) == (Outcome.NOT_STARTED, True)
    stage.comes()
    stage.until_quiet()
    again = stage.call()
    stage.until_quiet()
    assert told(again) == "value"


def test_a_call_that_had_left_is_told_that_its_host_does_not_come_back(stage: Stage) -> None:
    """A58: whichever comes first of that word, the broker's and the verdict; not that it is started again."""
    said: list[str] = []
    for late in (False, True):
        stage.call()
        stage.until_quiet()
        call = stage.call()
        stage.send_out()
        [pending] = stage.membership.pending.values()
        stage.dies()
        stage.words.append(Withdrawn(HOSTS[0]))
        verdict = Verdict(HOSTS[0], 0, (), ())
        if late:
            stage.client_takes()
            stage.word()
            stage.word()
            said.append(str(pending.judged(verdict, ServerLost(), gone=stage.membership.renewing.gone(HOSTS[0])).error))
        else:
            stage.word()
            stage.word()
            assert stage.membership.renewing.judge(verdict)
            stage.client_takes()
            with pytest.raises(ServerLost) as told_of:
                call.get()
            said.append(str(told_of.value))
        stage.comes()
        stage.until_quiet()
    assert ["does not come back" in each for each in said] == [True, True]


def test_one_of_two_replicas_serves_while_the_other_is_away() -> None:
    """A57: with the whole credit; and each of both again, once both are there."""
    stage = Stage(replicas=2)
    for member in HOSTS:
        stage.dies(member)
        stage.word()
        for _ in range(3):
            many = [stage.call(b"%d" % each) for each in range(CREDIT + 9)]
            stage.until_quiet()
            assert {told(each) for each in many} == {"value"}
        assert len(stage.membership.leases[ECHO]) == CREDIT
        stage.comes(member)
        stage.until_quiet()
    arrived: dict[str, bool] = {}
    calls: list[Promise[Any]] = []
    for _ in range(2):  # with the replies to the first come UIDs for the one that is back
        calls = [stage.call(b"%d" % each) for each in range(40)]
        stage.send_out()
        stage.hosts_take()
        arrived = {member: len(host.waiting) > 0 for member, host in stage.hosts.items()}
        stage.until_quiet()
    assert arrived == dict.fromkeys(map(str, HOSTS), True)
    assert {told(each) for each in calls} == {"value"}
    assert stage.notices == []
    stage.close()


class Other(HostActor):
    """Exports something else under the same name."""

    @handler
    def echo(self, data: str) -> str:
        """Return what came."""
        return data


def test_a_host_that_comes_back_as_another_is_not_called(stage: Stage) -> None:
    """A22, I5: the types of a handler are part of what was checked; its calls are told, none is sent."""
    stage.dies()
    stage.word()
    waits = stage.call()
    stage.comes(actor=Other)
    stage.until_quiet()
    assert (told(waits), stage.ran) == ("not started", [])


@pytest.mark.parametrize("member", ["vault", UI, "stranger", "broker", ""])
def test_nobody_but_a_host_comes_and_goes(stage: Stage, member: str) -> None:
    """R4, R7, I5: neither by the broker's word nor by the supervisor's."""
    ticket = SessionTicket(UI, Role.UI, member, Role.ENCLAVE, os.urandom(32), ())
    for word in (Away(member), Withdrawn(member), Renew(ticket)):
        with pytest.raises(Malformed):
            stage.membership.renewing.told(word)
    with pytest.raises(Malformed):
        stage.membership.take(Left(member), b"")


@pytest.mark.parametrize("role", [Role.ENCLAVE, Role.UI, Role.EXTENSION, Role.BROKER])
def test_a_host_that_comes_back_is_a_host(stage: Stage, role: Role) -> None:
    """R7: no ticket makes another of it, and while it is there, there is no second session."""
    ticket = SessionTicket(UI, Role.UI, HOSTS[0], role, os.urandom(32), ())
    with pytest.raises(Malformed):
        stage.membership.renewing.told(Renew(ticket))
    with pytest.raises(Malformed):
        stage.membership.renewing.told(Renew(SessionTicket(UI, Role.UI, HOSTS[0], Role.HOST, os.urandom(32), ())))
    found = stage.call()
    stage.until_quiet()
    assert told(found) == "value"


def test_what_a_hostile_broker_keeps_of_the_old_process_is_worth_nothing(stage: Stage) -> None:
    """R4, I5, F8: its replies, its Welcome, its UIDs, in whatever place they are shown; the truth still counts."""
    stage.call(b"old")
    stage.until_quiet()
    old = [each for each in stage.to_client if type(each[0]) is Routed]
    held = {each for lease in stage.membership.leases.values() for each in lease}
    stage.call(b"unanswered")
    stage.send_out()
    stage.dies()
    stage.comes()
    stage.until_quiet()
    new = {each for lease in stage.membership.leases.values() for each in lease}
    assert (bool(held), held & new) == (True, set())
    stage.call(b"once")
    stage.until_quiet()
    waits = stage.call(b"new")
    [pending] = stage.membership.pending.values()
    stage.send_out()
    before = len(stage.settled)
    for item, body in old:
        shown = Routed(*item_fields(item, pending.uid, pending.sequence))
        for each in (item, shown):
            stage.refused.clear()
            try:
                stage.membership.take(each, body)
            except (Malformed, KeyError):
                continue
            except Exception as error:  # noqa: BLE001  # whatever it is, it is a refusal of ours
                assert type(error).__module__ == "trollbridge.messages.errors"  # noqa: PT017
    assert (waits.done, len(stage.settled)) == (False, before)
    stage.until_quiet()
    assert (told(waits), waits.get()) == ("value", b"new")


def item_fields(item: Item, uid: bytes, sequence: int) -> tuple[Any, ...]:
    """Return the fields of a header, rewritten for another call."""
    assert type(item) is Routed
    return item.kind, item.sender, item.receiver, uid, item.sequence, sequence, item.route, item.length, item.tag


def test_a_broker_that_lies_about_an_end_can_only_hold_up(stage: Stage) -> None:
    """R4, I5: it says that a host has left that has not: nothing is sent twice, nothing is told to be not started."""
    stage.call(b"first")
    stage.until_quiet()
    sent = stage.call(b"sent")
    stage.send_out()
    unsent = stage.call(b"unsent")
    stage.membership.take(Left(HOSTS[0]), b"")
    stage.until_quiet()
    assert (told(sent), unsent.done) == ("unknown", False)
    assert [data for _, data in stage.ran] == [b"first", b"sent"]
    stage.membership.take(Lease(ECHO, bytes(16)), b"")
    stage.until_quiet()
    assert (unsent.done, b"unsent" in {data for _, data in stage.ran}) == (False, False)
    held = stage.membership.leases.get(HandlerName("porter.echo"))
    assert HandlerUID(bytes(16)) not in set(held or ())


def test_nothing_grows_however_often_a_host_comes_back(stage: Stage) -> None:
    """K6: neither at the client nor at the broker; what each process had is let go of with it."""
    for number in range(100):
        stage.call(b"%d" % number)
        stage.send_out()
        stage.dies()
        stage.comes()
        stage.until_quiet()
    stage.call(b"last")
    stage.until_quiet()
    membership, routing = stage.membership, stage.routing
    [port] = [each for each in routing._ports.values() if each.member == UI]
    [host] = membership.renewing._hosts.values()
    assert (len(membership.pending), len(membership.peers), len(membership.routes)) == (0, 1, 1)
    assert (host.early, host.verdicts, host.voided, host.founding, host.ticket) == ([], {}, set(), None, None)
    assert (len(routing._ports), len(routing._callers), len(routing._ledger)) == (2, 1, CREDIT)
    assert (port.lost, port.opening, port.parts, routing._services) == ({}, {}, {}, {"porter": ("porter",)})
    assert stage.notices == []
