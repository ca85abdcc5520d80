"""Freshness on real processes: a UID is good for one call of one handler by one member in one epoch, and no more.

The attacker is the user interface or an extension itself, with all of its keys; the broker and the enclave are the
shipped ones. The journal, which outlives enclaves, counts what has run.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.attacks import hostile_acts
from tests.harness import acts
from tests.harness.puppeteer import Backstage, Distant, Hand, Puppeteer, perform
from trollbridge.messages.envelope import Kind
from trollbridge.messages.ids import NO_UID

if TYPE_CHECKING:
    from pathlib import Path

    from trollbridge.actors.operations.log import Line

BODY: Final = bytes(range(100, 244))


def ran(journal: Path) -> list[str]:
    """Return what handlers have written into the journal."""
    return [each for each in journal.read_text("utf-8").splitlines() if each != "start"]


def why(lines: list[Line]) -> list[str]:
    """Return the reasons of log lines."""
    return [each.why for each in lines]


def stage(tmp_path: Path, **settings: Any) -> tuple[Puppeteer, Path]:  # noqa: ANN401  # passed on
    """Start a puppet whose probe keeps a journal; return both."""
    journal = tmp_path / "journal"
    return perform(journal=str(journal), **settings), journal


def call_under(hand: Hand, handler: str, uid: bytes, *arguments: object, **more: Any) -> Distant:  # noqa: ANN401
    """Have a puppet call under a UID of the test's choice."""
    name = f"under {uid.hex()} {arguments}"
    hand.act(hostile_acts.call_under, promise=name, handler=handler, uid=uid, arguments=list(arguments), **more)
    return Distant(hand, name)


def header(sender: str, uid: bytes) -> dict[str, object]:
    """Return the fields of a call's header for `BODY`."""
    return {
        "kind": int(Kind.CALL), "sender": sender, "receiver": "probe", "uid": uid, "sequence": 0, "deadline": 0,
        "route": b"", "length": len(BODY), "tag": BODY[-16:],
    }  # fmt: skip


def test_five_hundred_calls_have_five_hundred_uids(tmp_path: Path) -> None:
    """A27: pipelined beyond the credit and one after the other; each ran once."""
    puppet, journal = stage(tmp_path)
    with puppet:
        puppet.act(hostile_acts.remember)
        waiting = [puppet.call("probe.mark", f"piped {number}") for number in range(400)]
        waiting[-1].get()
        for number in range(100):
            puppet.result("probe.mark", f"single {number}")
        uids = puppet.act(hostile_acts.used_uids)
        assert (len(uids), len(set(uids)), {len(each) for each in uids}) == (500, 500, {16})
        assert ran(journal) == [f"piped {n}" for n in range(400)] + [f"single {n}" for n in range(100)]
        assert puppet.leave() == 0
        assert puppet.lines("uid.refused") == []


def test_a_used_uid_calls_nothing(tmp_path: Path) -> None:
    """A27, F1: sealed anew by its own holder, before and after the reply; one opaque refusal, one precise line."""
    puppet, journal = stage(tmp_path)
    with puppet:
        uid = puppet.act(hostile_acts.take, handler="probe.mark")
        assert call_under(puppet, "probe.mark", uid, "first").get() == 1
        assert call_under(puppet, "probe.mark", uid, "again").outcome() == "Refused"
        assert puppet.result("probe.mark", "after") == 2
        assert ran(journal) == ["first", "after"]
        line = puppet.wait_for("uid.refused")
        assert (line.member, line.why) == ("puppet", "never issued, used or void")


def test_a_made_up_uid_calls_nothing(tmp_path: Path) -> None:
    """A22, F5: no other path executes a handler."""
    puppet, journal = stage(tmp_path)
    made_up = (NO_UID, b"x" * 16, bytes(range(16)))
    with puppet:
        for number, uid in enumerate(made_up, 1):
            assert call_under(puppet, "probe.mark", uid, "made up").outcome() == "Refused"
            assert puppet.result("probe.mark", "after") == number
        assert ran(journal) == ["after"] * len(made_up)
        assert puppet.leave() == 0
        assert why(puppet.lines("uid.refused")) == ["never issued, used or void"] * len(made_up)


def test_a_uid_is_good_for_its_handler_only(tmp_path: Path) -> None:
    """A27, F3: leased for `echo`, used for `mark`: the broker delivers it to `echo`, and the enclave refuses it."""
    puppet, journal = stage(tmp_path)
    with puppet:
        uid = puppet.act(hostile_acts.take, handler="probe.echo")
        assert call_under(puppet, "probe.echo", uid, "crossed", inside="probe.mark").outcome() == "Refused"
        assert puppet.result("probe.mark", "after") == 1
        assert ran(journal) == ["after"]
        assert puppet.leave() == 0
        reasons = {(each.event, each.why) for each in puppet.lines("envelope.refused")}
        assert reasons == {
            ("envelope.refused", "AuthenticationFailed"),
            ("envelope.refused", "the enclave could not open or accept it"),
        }


def test_a_uid_is_good_for_its_enclave_only(tmp_path: Path) -> None:
    """A27, F3: leased for one enclave, used at another that has the same handler."""
    puppet, journal = stage(tmp_path, enclaves=("one", "two"))
    with puppet:
        uid = puppet.act(hostile_acts.take, handler="one.mark")
        assert call_under(puppet, "two.mark", uid, "elsewhere").outcome() == "Refused"
        assert call_under(puppet, "one.mark", uid, "at home").get() == 1
        assert ran(journal) == ["at home"]
        assert puppet.leave() == 0
        assert why(puppet.lines("uid.refused")) == ["leased for a handler of another enclave"]


def test_a_uid_is_good_for_its_member_only_and_nobody_burns_anothers(tmp_path: Path) -> None:
    """A27, F7: the extension's UIDs in the UI's hands, and the other way round; the holders lose none of them."""
    with Backstage(tmp_path) as backstage:
        puppet, journal = stage(
            tmp_path, extensions={"extra": backstage.path}, extension_grants=("probe.mark", "probe.echo")
        )
        with puppet:
            extra = backstage.next_hand()
            ours, theirs = (hand.act(hostile_acts.lease, handler="probe.mark") for hand in (puppet, extra))
            for uid in theirs[:5]:
                assert call_under(puppet, "probe.mark", uid, "stolen").outcome() == "Refused"
            for uid in ours[:5]:
                assert call_under(extra, "probe.mark", uid, "stolen").outcome() == "Refused"
            assert [call_under(extra, "probe.mark", uid, "mine").outcome() for uid in theirs[:5]] == ["value"] * 5
            assert [call_under(puppet, "probe.mark", uid, "ours").outcome() for uid in ours[:5]] == ["value"] * 5
            assert sorted(ran(journal)) == ["mine"] * 5 + ["ours"] * 5
            assert puppet.leave() == 0
            assert why(puppet.lines("uid.refused")) == ["leased to another member"] * 10


def test_a_call_after_its_deadline_is_not_run_and_costs_nothing_else(tmp_path: Path) -> None:
    """A27: told to the caller, logged at the first, second, fourth …, no offence, and no UID is lost by it."""
    puppet, journal = stage(tmp_path)
    with puppet:
        for number in range(300):
            uid = puppet.act(hostile_acts.take, handler="probe.mark")
            late = call_under(puppet, "probe.mark", uid, f"late {number}", deadline=1)
            assert late.outcome() == "DeadlineExceeded"
        assert puppet.result("probe.mark", "after") == 1
        assert ran(journal) == ["after"]
        assert puppet.leave() == 0
        told = [each.detail for each in puppet.lines("call.late", member="puppet")]
        assert told == [f"{2**power} so far" for power in range(9)]
        assert puppet.lines("member.removed") == []


def test_a_uid_of_the_last_epoch_calls_nothing_in_the_next(tmp_path: Path) -> None:
    """A27, F2: unused ones and used ones, after the enclave has died and a new ring is sealed."""
    puppet, journal = stage(tmp_path)
    with puppet:
        unused = puppet.act(hostile_acts.lease, handler="probe.mark")
        used = puppet.act(hostile_acts.take, handler="probe.mark")
        assert call_under(puppet, "probe.mark", used, "first").get() == 1
        puppet.kill("probe")
        puppet.await_epoch(2)
        for uid in (used, *unused[:5]):
            assert call_under(puppet, "probe.mark", uid, "old").outcome() == "Refused"
        assert puppet.result("probe.mark", "new") == 1
        assert ran(journal) == ["first", "new"]
        assert puppet.leave() == 0
        assert {(each.epoch, each.why) for each in puppet.lines("uid.refused")} == {(2, "never issued, used or void")}


@pytest.mark.parametrize("threads", [2, 16])
def test_of_threads_with_one_uid_one_wins(threads: int, tmp_path: Path) -> None:
    """F6: sealed calls under one UID from as many threads as may be mistaken: one runs, the others are refused."""
    puppet, journal = stage(tmp_path)
    with puppet:
        words = [f"racer {number}" for number in range(threads)]
        for turn in range(16 // (threads - 1)):
            uid = puppet.act(hostile_acts.take, handler="probe.mark")
            puppet.act(hostile_acts.race, handler="probe.mark", uid=uid, words=words)
            assert puppet.result("probe.mark", "after") == 2 * (turn + 1)
        runs = ran(journal)
        assert (runs[1::2], set(runs[::2]) <= set(words)) == (["after"] * (len(runs) // 2), True)


def test_of_sixty_four_threads_and_another_process_with_one_uid_no_two_win(tmp_path: Path) -> None:
    """F6: so many that it costs the UI its link, while an extension tries the same UID: never more than one runs."""
    with Backstage(tmp_path) as backstage:
        puppet, journal = stage(tmp_path, extensions={"extra": backstage.path}, extension_grants=("probe.mark",))
        with puppet:
            extra = backstage.next_hand()
            extra.act(hostile_acts.lease, handler="probe.mark")
            uid = puppet.act(hostile_acts.take, handler="probe.mark")
            words = [f"racer {number}" for number in range(64)]
            assert call_under(extra, "probe.mark", uid, "thief").outcome() == "Refused"
            puppet.tell(hostile_acts.race, handler="probe.mark", uid=uid, words=words)
            theft = {"promise": "again", "handler": "probe.mark", "uid": uid, "arguments": ["thief"]}
            extra.tell(hostile_acts.call_under, **theft)  # the ring's fall may end it before it answers
            puppet.wait_for("member.removed", member="puppet", why="too many refusals")
            puppet.wait_for("ring.sealed", epoch=2)
            assert len(ran(journal)) <= 1
            assert set(ran(journal)) <= set(words)


def test_one_packet_sent_again_is_refused_on_its_link_and_on_another(tmp_path: Path) -> None:
    """F1, F2: the true packet of the UI, on the UI's link and on the extension's: it opens once."""
    with Backstage(tmp_path) as backstage:
        puppet, journal = stage(
            tmp_path, capture=True, extensions={"extra": backstage.path}, extension_grants=("probe.mark",)
        )
        with puppet:
            extra = backstage.next_hand()
            puppet.result("probe.mark", "once")
            sent, _ = puppet.act(acts.packets, of=1)
            for hand in (puppet, extra):
                hand.act(hostile_acts.say_packets, packets=sent[-1:] * 3)
            assert puppet.result("probe.mark", "after") == 2
            assert extra.result("probe.mark", "theirs") == 3
            assert ran(journal) == ["once", "after", "theirs"]
            assert puppet.leave() == 0
            found = sorted((each.member, each.why) for each in puppet.lines("record.refused"))
            assert found == [("extra", "AuthenticationFailed")] * 3 + [("puppet", "AuthenticationFailed")] * 3


def test_a_recorded_run_replayed_executes_nothing(tmp_path: Path) -> None:
    """F2, A7: every packet of epoch 1, byte by byte the same, in epoch 2; the attacker is cut, the ring goes on."""
    puppet, journal = stage(tmp_path, capture=True)
    with puppet:
        for number in range(10):
            puppet.result("probe.mark", f"true {number}")
        sent, received = puppet.act(acts.packets, of=1)
        puppet.kill("probe")
        puppet.await_epoch(2)
        puppet.tell(hostile_acts.say_packets, packets=[*sent, *received])
        assert puppet.wait_for("member.removed", member="puppet").why == "too many refusals"
        puppet.wait_for("ring.sealed", epoch=3)
        assert ran(journal) == [f"true {number}" for number in range(10)]
        refused = puppet.lines("record.refused", epoch=2)
        assert {each.why for each in refused} <= {"AuthenticationFailed", "Malformed"}
        assert len(refused) > 16


CHANGES: Final[tuple[tuple[dict[str, object], str], ...]] = (
    ({"sender": "extra"}, "sender.refused"),
    ({"sender": "probe"}, "sender.refused"),
    ({"sender": "broker"}, "sender.refused"),
    ({"sender": "Puppet"}, "sender.refused"),
    ({"receiver": "vault"}, "uid.refused"),
    ({"receiver": "puppet"}, "uid.refused"),
    ({"route": bytes(16)}, "sender.refused"),
    ({"kind": int(Kind.REPLY)}, "envelope.refused"),
    ({"kind": 77}, "envelope.refused"),
)
"""What a header says that is not so, and the event that tells of it."""


def test_a_header_that_its_link_does_not_bear_out_is_refused(tmp_path: Path) -> None:
    """I2, I3, I4, F3, F4: from a member with a good UID; refused and logged against the true sender."""
    puppet, journal = stage(tmp_path)
    with puppet:
        for number, changes in enumerate((each for each, _ in CHANGES), 1):
            uid = puppet.act(hostile_acts.take, handler="probe.mark")
            puppet.act(hostile_acts.say, fields=header("puppet", uid) | changes, body=BODY)
            assert puppet.result("probe.mark", "after") == number
        assert ran(journal) == ["after"] * len(CHANGES)
        assert puppet.leave() == 0
        events = [(each.event, each.member) for each in puppet.lines() if each.event.endswith(".refused")]
        assert events == [(event, "puppet") for _, event in CHANGES]


def test_a_body_fits_no_other_header(tmp_path: Path) -> None:
    """F3: a true body under a fresh UID, sequence, deadline or kind: the broker passes it on, nothing runs."""
    puppet, journal = stage(tmp_path)
    with puppet:
        puppet.act(hostile_acts.remember)
        puppet.result("probe.mark", "true")
        for changes in ({}, {"sequence": 1}, {"sequence": 4_000}, {"deadline": 2**62}, {"sequence": 2**63}):
            uid = puppet.act(hostile_acts.take, handler="probe.mark")
            puppet.act(hostile_acts.say_again, changes={"uid": uid, **changes})
        assert puppet.result("probe.echo", b"after") == b"after"
        assert ran(journal) == ["true"]
        assert puppet.leave() == 0
        inside = [each.why for each in puppet.lines("envelope.refused") if "enclave" not in each.why]
        assert sorted(set(inside)) == ["AuthenticationFailed", "OutOfSequence"]
        assert len(inside) == 5


def test_a_body_stripped_cut_or_altered_is_refused_like_any_forgery(tmp_path: Path) -> None:
    """F4, A46: of length zero, of a tag only, one byte short, with one bit changed: one outcome, nothing runs."""
    puppet, journal = stage(tmp_path)
    with puppet:
        puppet.act(hostile_acts.remember)
        puppet.result("probe.mark", "true")
        forgeries = [bytes(16), BODY[:-1], BODY, os.urandom(144), bytes(130_000)]
        for body in forgeries:
            uid = puppet.act(hostile_acts.take, handler="probe.mark")
            puppet.act(hostile_acts.say_again, changes={"uid": uid, "sequence": 5}, body=body)
        assert puppet.result("probe.mark", "after") == 2
        assert puppet.leave() == 0
        inside = [each.why for each in puppet.lines("envelope.refused") if "enclave" not in each.why]
        assert inside == ["AuthenticationFailed"] * len(forgeries)
        assert ran(journal) == ["true", "after"]


def test_a_body_that_the_record_does_not_hold_is_refused_by_the_link(tmp_path: Path) -> None:
    """F4, P2: a header that names a body of length zero, or one that is not there."""
    puppet, journal = stage(tmp_path)
    with puppet:
        uid = puppet.act(hostile_acts.take, handler="probe.mark")
        fields = header("puppet", uid)
        for wrong in (fields | {"length": 0}, fields | {"length": 2**40}, fields | {"tag": bytes(16)}):
            puppet.act(hostile_acts.say, fields=wrong, body=BODY)
        assert puppet.result("probe.mark", "after") == 1
        assert puppet.leave() == 0
        assert why(puppet.lines("record.refused")) == ["Malformed"] * 3
        assert ran(journal) == ["after"]


def test_burning_and_flooding_starve_nobody(tmp_path: Path) -> None:
    """F7, P3: an extension guesses UIDs and asks for leases without end: it is cut; the UI does not notice."""
    with Backstage(tmp_path) as backstage:
        puppet, journal = stage(tmp_path, extensions={"extra": backstage.path}, extension_grants=("probe.mark",))
        with puppet:
            extra = backstage.next_hand()
            ours = puppet.act(hostile_acts.lease, handler="probe.mark")
            for number in range(17):
                extra.tell(
                    hostile_acts.call_under, promise="x", handler="probe.mark", uid=os.urandom(16), arguments=[""]
                )
                assert puppet.result("probe.mark", str(number)) == number + 1
            puppet.wait_for("member.removed", member="extra", why="too many refusals")
            assert [call_under(puppet, "probe.mark", uid, "ours").outcome() for uid in ours[:3]] == ["value"] * 3
            assert puppet.lines("ring.dismantling") == []
            assert len(ran(journal)) == 17 + 3
