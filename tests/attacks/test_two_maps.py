"""Two maps, one on each side: what is not on both, nobody calls; what is no value, nobody sends. On real processes."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

import pickle
import sys
from typing import TYPE_CHECKING, Final

import pytest

from tests.attacks import hostile_acts
from tests.attacks.middle import UI, Middle
from tests.harness import acts
from tests.harness.puppeteer import Backstage, Distant, Told, perform
from trollbridge.messages import aead, labels
from trollbridge.messages.control import NoticeKind
from trollbridge.messages.envelope import Kind, associated, context
from trollbridge.messages.errors import AuthenticationFailed, InvalidArguments
from trollbridge.messages.ids import BROKER, HandlerName, MemberId

if TYPE_CHECKING:
    from pathlib import Path

    from tests.harness.puppet import Strings

NOT_EXPORTED: Final = (
    *("unmarked", "on_start", "on_stop", "stop", "start", "_note", "__init__", "__class__", "actor_ref", "proxy"),
    *("ECHO", "echo ", "Echo", "echo.echo", "", "nope", "on_receive"),
)


def test_what_is_not_exported_cannot_be_called() -> None:
    """A26, A17, A22: methods without a mark, of pykka, of object, other spellings: the client's own map says no."""
    with perform() as puppet:
        kinds: set[str] = set()
        for name in NOT_EXPORTED:
            with pytest.raises(Told) as told:
                puppet.result(f"probe.{name}")
            kinds.add(told.value.kind)
        assert kinds == {"NoSuchHandler"}
        assert puppet.result("probe.echo", b"hi") == b"hi"


def test_what_the_clients_map_lacks_is_refused_by_the_broker_too() -> None:
    """A11, A18, A26: a UI that asks all the same gets no lease for what is not granted, nor for what nobody exports."""
    with perform(grants=("probe.echo",)) as puppet:
        assert puppet.act(acts.handlers) == ["probe.echo"]
        wanted = ["probe.mark", *(f"probe.{name}" for name in NOT_EXPORTED[:8]), "nobody.echo"]
        for name in wanted:
            with pytest.raises(Told) as told:
                puppet.act(hostile_acts.lease, handler=name)
            assert told.value.kind == "PermissionError"
        assert puppet.result("probe.echo", b"hi") == b"hi"
        assert puppet.leave() == 0
        assert [each.why for each in puppet.lines("lease.refused")] == ["no grant"] * len(wanted)


def test_what_the_brokers_map_lets_through_is_refused_by_the_enclave_too(tmp_path: Path) -> None:
    """A11, A18: broker and extension conspire; the enclave has told the extension no code but those of its grants."""
    with Backstage(tmp_path) as backstage:
        journal = tmp_path / "journal"
        with perform(
            journal=str(journal), extensions={"extra": backstage.path}, extension_grants=("probe.echo",)
        ) as puppet:
            extra = backstage.next_hand()
            codes = puppet.act(hostile_acts.codes)
            assert set(extra.act(hostile_acts.codes)) == {"probe.echo"}
            # The UI's codes are true ones, for granted handlers, but of another session.
            for name in ("probe.mark", "probe.echo"):
                uid = extra.act(hostile_acts.take, handler="probe.echo")
                extra.act(
                    hostile_acts.call_with_code, promise=name, handler="probe.echo", uid=uid, code=codes[name], word="x"
                )
                assert Distant(extra, name).outcome() == "Refused"
            assert extra.result("probe.echo", b"hi") == b"hi"
            assert journal.read_text("utf-8") == "start\n"


def test_a_member_that_is_granted_nothing_knows_nothing(tmp_path: Path) -> None:
    """A18, A22: an extension without grants has no handler, no session and no lease; the UI is told what it lacks."""
    with Backstage(tmp_path) as backstage:
        with perform(extensions={"extra": backstage.path}) as puppet:
            extra = backstage.next_hand()
            assert (extra.act(acts.handlers), extra.act(hostile_acts.codes)) == ([], {})
            with pytest.raises(Told) as told:
                extra.act(hostile_acts.lease, handler="probe.echo")
            assert told.value.kind == "PermissionError"
            assert puppet.result("probe.echo", b"hi") == b"hi"
        with perform(grants=("probe.echo",)) as puppet:
            with pytest.raises(Told) as told:
                puppet.result("probe.mark", "x")
            assert (told.value.kind, "App(grants=…)" in told.value.text) == ("NotGranted", True)


class Sample:
    """A class that somebody might try to send."""


def try_to_send(strings: Strings) -> dict[str, str]:
    """Call every handler that takes something with what is no value; return what became of each (runs in a puppet)."""
    things: dict[str, object] = {
        "a function": len,
        "a lambda": lambda: None,
        "a class": Sample,
        "an object": Sample(),
        "a module": pickle,
        "a bound method": strings.client.flush,
        "an iterator": iter((1,)),
        "a type": int,
        "a set": {1},
        "an exception": ValueError("x"),
        "a file": sys.stdin,
    }
    found: dict[str, str] = {}
    for handler in ("probe.echo", "probe.mark", "probe.die", "probe.hold"):
        for name, thing in things.items():
            try:
                strings.client.call(HandlerName(handler), (thing,), {})
            except InvalidArguments:
                continue
            except Exception as error:  # noqa: BLE001  # what it is, is the result
                found[f"{handler} {name}"] = type(error).__name__
            else:
                found[f"{handler} {name}"] = "sent"
    return found


def test_what_is_no_value_is_refused_before_it_is_sent() -> None:
    """A10: functions, classes, modules, methods, objects; in every parameter, typed, and nothing leaves the process."""
    with perform() as puppet:
        puppet.act(hostile_acts.remember)
        assert puppet.act(try_to_send) == {}
        assert puppet.act(hostile_acts.used_uids) == []
        assert puppet.result("probe.echo", b"hi") == b"hi"


def test_what_names_code_is_only_text_when_it_arrives() -> None:
    """A10, P5: module paths, class paths and pickles are values like others where text or octets are asked for."""
    with perform() as puppet:
        for octets in (pickle.dumps(Sample), pickle.dumps(len), b"os.system", b"tests.harness.probe:Probe"):
            assert puppet.result("probe.echo", octets) == octets
        before = puppet.result("probe.modules")
        for text in ("antigravity", "this", "tests.attacks.middle:Middle", "os:system", "__import__('this')"):
            with pytest.raises(Told) as told:
                puppet.result("probe.refuse", text)
            assert told.value.text == text
        assert puppet.result("probe.modules") == before


def test_codes_of_the_last_ring_open_no_handler(tmp_path: Path) -> None:
    """A4, A26, A7: the same handler, granted, in the next epoch, by its old code."""
    journal = tmp_path / "journal"
    with perform(journal=str(journal)) as puppet:
        old = puppet.act(hostile_acts.codes)["probe.mark"]
        puppet.kill("probe")
        puppet.await_epoch(2)
        uid = puppet.act(hostile_acts.take, handler="probe.mark")
        puppet.act(hostile_acts.call_with_code, promise="x", handler="probe.mark", uid=uid, code=old, word="old")
        assert Distant(puppet, "x").outcome() == "Refused"
        assert puppet.result("probe.mark", "new") == 1
        assert journal.read_text("utf-8").splitlines() == ["start", "start", "new"]


def test_an_envelope_is_the_same_at_every_hop(tmp_path: Path) -> None:
    """A53: from the UI to the broker, to the enclave, and back: every field but the hop's own route, every byte."""
    with Middle(tmp_path) as middle:
        assert middle.hand.result("probe.echo", b"hi") == b"hi"
        assert middle.hand.result("probe.echo", bytes(400_000)) == bytes(400_000)
        for kind, there, back in ((Kind.CALL, UI, "probe"), (Kind.PART, UI, "probe"), (Kind.REPLY, "probe", UI)):
            first, second = middle.passed(kind, there, BROKER), middle.passed(kind, BROKER, back)
            assert len(first) == len(second) > 0
            for (sent, body), (arrived, same) in zip(first, second, strict=True):
                fields = ("kind", "sender", "receiver", "uid", "sequence", "deadline", "length", "tag")
                assert [getattr(sent, name) for name in fields] == [getattr(arrived, name) for name in fields]
                assert body == same


def test_equal_calls_look_unlike_and_are_of_one_length(tmp_path: Path) -> None:
    """A19: as they pass the broker: no two bodies share a block, and short arguments of any length are of one size."""
    with Middle(tmp_path) as middle:
        for word in ("same", "same", "same", "", "x" * 60):
            middle.hand.result("probe.mark", word)
        bodies = [body for _, body in middle.passed(Kind.CALL, UI, BROKER)]
        replies = [body for _, body in middle.passed(Kind.REPLY, "probe", BROKER)]
        assert ({len(each) for each in bodies}, {len(each) for each in replies}) == ({144}, {144})
        blocks = [each[start : start + 8] for each in bodies + replies for start in range(0, 144, 8)]
        assert len(set(blocks)) == len(blocks)


def test_a_stolen_chain_opens_nothing_of_the_past(tmp_path: Path) -> None:
    """A8: the keys that a process holds after ten calls, against all that passed the broker before."""
    with Middle(tmp_path) as middle:
        for number in range(10):
            middle.hand.result("probe.mark", str(number))
        sending, receiving = middle.hand.act(hostile_acts.chains, enclave="probe")
        middle.hand.result("probe.mark", "after")
        probe = MemberId("probe")
        directions = (
            (sending, context(middle.epoch, UI, probe, forward=True), middle.passed(Kind.CALL, UI, BROKER)),
            (receiving, context(middle.epoch, probe, UI, forward=False), middle.passed(Kind.REPLY, "probe", BROKER)),
        )
        for chain, direction, passed in directions:
            opened: list[int] = []
            for _ in range(20):
                chain, key = labels.step(chain)  # noqa: PLW2901  # that is what a chain is for
                for number, (item, body) in enumerate(passed):
                    data = associated(direction, item.kind, item.uid, item.sequence, item.deadline)
                    for each in (key, chain):
                        try:
                            aead.open_once(each, data, body)
                        except AuthenticationFailed:
                            continue
                        opened.append(number)
            assert opened == [10]


def test_the_rig_would_notice_an_enclave_that_ran_anything(tmp_path: Path) -> None:
    """The negative half of the tests above: an honest call is counted."""
    with Middle(tmp_path) as middle:
        middle.hand.result("probe.mark", "counted")
        assert middle.ran() == ["counted"]
        middle.send_packet("probe", bytes(64))
        assert middle.hand.result("probe.echo", b"") == b""
        assert middle.member("probe").noticed() == [(NoticeKind.RECORD_REFUSED, BROKER, "AuthenticationFailed")]
