"""What is said: never executed, never imported, exactly as its type says, and bounded (ATTACKS, P rows)."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.attacks import intruder
from tests.attacks.intruder import (
    ARGUMENTS,
    CONTENTS,
    ECHO,
    HEAD,
    PACKETS,
    RECORDS,
    Honest,
    LoneEnclave,
    detonate,
    explosives,
    pack,
    resident,
    sealed_record,
    struck_out,
)
from tests.harness import acts
from tests.harness.lone_broker import LoneBroker, LoneMember, call_header
from tests.harness.probe import SECRET
from tests.harness.puppeteer import Backstage, Puppeteer, perform
from trollbridge.actors.broker.routing import MOST_STRIKES
from trollbridge.messages import control, payloads
from trollbridge.messages.codec import Codec, encode
from trollbridge.messages.control import NoticeKind
from trollbridge.messages.envelope import Kind
from trollbridge.messages.errors import ErrorCode, Malformed
from trollbridge.messages.ids import NO_UID, Role, new_uid
from trollbridge.messages.record import (
    Item,
    Lease,
    Publish,
    PublishedHandler,
    Refusal,
    Request,
    Routed,
    envelope_of,
    route,
)

if TYPE_CHECKING:
    from pathlib import Path

KINDS: Final = ("pickle 0", "pickle 2", "pickle 5", "marshal", "source")
MEBIBYTE: Final = 1 << 20
CANARY: Final = """
from pathlib import Path
from trollbridge.enclave.actor import EnclaveActor
Path({path!r}).touch()
class Canary(EnclaveActor): ...
"""


def say_record(member: LoneMember, plaintext: bytes) -> None:
    """Send a record of any content."""
    member.end.send(sealed_record(member, plaintext))


# Payloads that would act if they were loaded (P1).


@pytest.mark.parametrize("kind", KINDS)
def test_the_payloads_are_live(kind: str, tmp_path: Path) -> None:
    """P1: a careless receiver would have made the file: the canary itself works."""
    made = tmp_path / "made"
    detonate(kind, explosives(made)[kind])
    assert made.exists()


def test_a_broker_executes_nothing_that_it_is_sent(tmp_path: Path) -> None:
    """P1: as a packet, as a record under the link's key, as an item's field, as a body."""
    made = tmp_path / "made"
    with LoneBroker() as broker:
        honest = Honest(broker)
        for payload in explosives(made).values():
            extra = honest.intruder()
            for packet in (payload, sealed_record(extra, payload), sealed_record(extra, pack([[2, payload]]))):
                extra.end.send(packet)
            extra.say(Request(payload.decode("latin-1")))
            body = payload + os.urandom(16)
            extra.say(call_header("extra", new_uid(), body=body), body)
            assert struck_out(broker, extra, partial(extra.end.send, b"enough"))
            uid = honest.call(body)
            honest.answer(uid, body)
        honest.converse()
        assert broker.alive()
    assert not made.exists()


def test_an_enclave_executes_nothing_that_it_is_sent(tmp_path: Path) -> None:
    """P1, A56: as a record, a content, arguments, an argument; octets that are an argument come back as octets."""
    made = tmp_path / "made"
    with LoneEnclave() as enclave:
        enclave.join()
        for payload in explosives(made).values():
            enclave.link.end.send(sealed_record(enclave.link, payload))
            assert isinstance(enclave.answer(*enclave.call("echo", b"", payload)), Refusal)
            answered = enclave.answer(*enclave.call("echo", payload))
            assert isinstance(answered, payloads.Fault)
            assert answered.code == ErrorCode.INVALID_ARGUMENTS
            assert enclave.answer(*enclave.call("echo", encode((payload,)))) == payloads.Result(encode(payload))
        enclave.converse()
        assert enclave.alive()
    assert not made.exists()


def test_a_supervisor_executes_nothing_that_it_is_told(tmp_path: Path) -> None:
    """P1: as a control message it costs the sender its process; the others go on."""
    made = tmp_path / "made"
    payloads_of = dict(zip((f"extra{number}" for number in range(len(KINDS))), explosives(made).values(), strict=True))
    with Backstage(tmp_path) as back, perform(extensions=dict.fromkeys(payloads_of, back.path)) as puppet:
        for payload in payloads_of.values():
            back.next_hand().tell(acts.control_packet, packet=payload)
            assert puppet.result("probe.echo", payload) == payload
        for member in payloads_of:
            puppet.wait_for("process.refused", member=member)
            puppet.wait_for("process.ended", member=member)
        assert puppet.result("probe.echo", b"after") == b"after"
        assert puppet.leave() == 0
    assert not made.exists()


def test_children_execute_nothing_that_they_are_told(tmp_path: Path) -> None:
    """P1: not even what comes over the control channel; a child that hears no message of its own ends."""
    made = tmp_path / "made"
    for payload in (explosives(made)["pickle 5"], explosives(made)["marshal"]):
        with LoneBroker() as broker:
            Honest(broker).converse()
            broker.process.channel.socket.send(payload)
            assert broker.end() == 1
        with LoneEnclave() as enclave:
            enclave.join().converse()
            enclave.process.channel.socket.send(payload)
            assert enclave.end() == 1
    assert not made.exists()


# Malformed records (P2, P4).


def test_the_collection_is_as_large_as_it_was() -> None:
    """P2, P4: no case has gone missing, and every one of them is one: what is canonical is not in it."""
    assert (len(RECORDS), len(PACKETS)) == (45, 8)
    items: Codec[tuple[Item, ...]] = Codec(tuple[Item, ...])
    assert items.decode(pack([[2, ECHO]])) == (Request(ECHO),)
    refused = 0
    for plaintext in RECORDS.values():
        try:
            items.decode(plaintext)
        except Malformed:
            refused += 1
    assert refused == len(RECORDS) - 3  # the three whose bodies are not there


def test_a_broker_strikes_whoever_sends_malformed_records() -> None:
    """P2, P4: each kind, again and again: refused one by one, counted, the sender removed; the others never notice."""
    with LoneBroker() as broker:
        honest = Honest(broker)
        for plaintext in RECORDS.values():
            extra = honest.intruder()
            kinds = struck_out(broker, extra, partial(say_record, extra, plaintext))
            assert kinds == [NoticeKind.RECORD_REFUSED] * (MOST_STRIKES + 1) + [NoticeKind.MEMBER_REMOVED]
            honest.converse()
        for packet in PACKETS.values():
            extra = honest.intruder()
            kinds = struck_out(broker, extra, partial(extra.end.send, packet))
            assert kinds == [NoticeKind.RECORD_REFUSED] * (MOST_STRIKES + 1) + [NoticeKind.MEMBER_REMOVED]
            honest.converse()
        assert broker.alive()


def test_an_empty_packet_is_the_end_of_its_senders_link() -> None:
    """P2: it reads like the end of a file; that costs nobody else anything."""
    with LoneBroker() as broker:
        honest = Honest(broker)
        extra = honest.intruder()
        extra.end.send(b"")
        broker.notice(NoticeKind.LINK_LOST, "extra")
        honest.converse()
        assert broker.alive()


def test_a_broker_outlives_any_record() -> None:
    """P2: whatever hypothesis makes of bytes, and of a good record with some bytes exchanged."""
    with LoneBroker() as broker:
        honest = Honest(broker)
        good = pack([[2, ECHO], [4, bytes(16)], [6, "vault", 1], HEAD])
        spoilt = st.lists(st.tuples(st.integers(0, len(good) - 1), st.integers(0, 255)), min_size=1, max_size=4)

        @given(st.one_of(st.binary(max_size=200), spoilt), st.binary(max_size=64))
        def attack(how: bytes | list[tuple[int, int]], bodies: bytes) -> None:
            plaintext = bytearray(good) if isinstance(how, list) else bytearray(how)
            for at, value in how if isinstance(how, list) else ():
                plaintext[at] = value
            extra = honest.intruder()
            extra.end.send(sealed_record(extra, bytes(plaintext), bodies))
            with suppress(ConnectionError):  # the record may have cost it the link
                extra.end.send(bodies or b"x")
            honest.converse()
            honest.dismiss(extra)
            assert broker.alive()

        attack()


ITEMS: Final = st.one_of(
    st.builds(
        Routed,
        kind=st.one_of(st.integers(0, 7), st.integers(0, 2**64 - 1)),
        sender=st.one_of(st.sampled_from(["ui", "extra", "vault", "broker", "console", "probe"]), st.text(max_size=9)),
        receiver=st.one_of(st.sampled_from(["ui", "extra", "vault", "broker", "probe"]), st.text(max_size=9)),
        uid=st.sampled_from([NO_UID, bytes(range(16))]),
        sequence=st.one_of(st.integers(0, 9), st.integers(0, 2**64 - 1)),
        deadline=st.one_of(st.just(0), st.integers(0, 2**64 - 1)),
        route=st.one_of(st.just(b""), st.binary(max_size=20)),
        length=st.just(32),
        tag=st.just(bytes(16)),
    ),
    st.builds(Request, st.one_of(st.sampled_from([ECHO, "vault.", ".", ""]), st.text(max_size=9))),
    st.builds(Lease, st.text(max_size=9), st.binary(max_size=40)),
    st.builds(Refusal, st.sampled_from([NO_UID, bytes(range(16))])),
    st.builds(Publish, st.tuples(st.builds(PublishedHandler, st.text(max_size=9), st.just(bytes(32))))),
)


def _say(member: LoneMember, items: list[Routed | Request | Lease | Refusal | Publish]) -> None:
    for item in items:
        member.endpoint.put(item, bytes(32) if isinstance(item, Routed) else b"")
    member.endpoint.flush()


def test_a_broker_outlives_any_items() -> None:
    """P2, I2, P6: well-formed items with any values, from an extension: nothing gets to anybody by them."""
    with LoneBroker() as broker:
        honest = Honest(broker)

        @given(st.lists(ITEMS, min_size=1, max_size=6))
        def attack(items: list[Routed | Request | Lease | Refusal | Publish]) -> None:
            founding = Kind.HANDSHAKE, Kind.SESSION  # which the enclave is to be told of
            extra = honest.intruder()
            _say(extra, [each for each in items if not isinstance(each, Routed) or each.kind not in founding])
            honest.converse()
            honest.dismiss(extra)
            assert broker.alive()

        attack()


def test_an_enclave_outlives_a_broker_that_says_anything() -> None:
    """P2, P4: malformed records and any items from the one that it must hear; it notes them, and serves on."""
    with LoneEnclave() as enclave:
        enclave.join()
        for bad in [sealed_record(enclave.link, each) for each in RECORDS.values()] + list(PACKETS.values()):
            enclave.notices.clear()
            enclave.link.end.send(bad)
            assert enclave.expect(control.Notice).kind is NoticeKind.RECORD_REFUSED
        enclave.converse()

        @given(st.lists(ITEMS, min_size=1, max_size=6))
        def attack(items: list[Routed | Request | Lease | Refusal | Publish]) -> None:
            _say(enclave.link, items)
            item, body = enclave.call("echo", encode((b"still",)))
            enclave.link.say(item, body)
            while True:
                answer, there = enclave.link.hear()
                if isinstance(answer, Routed):
                    break
                assert isinstance(answer, Refusal)
            opened = enclave.session.open(envelope_of(answer, there))
            assert payloads.decode(opened) == payloads.Result(encode(b"still"))

        attack()
        assert enclave.alive()


def test_an_enclave_runs_nothing_that_is_not_exactly_a_call() -> None:
    """P4, A10: contents that are no call are refused; arguments that are not the handler's are a typed error."""
    with LoneEnclave() as enclave:
        enclave.join()
        for content in CONTENTS.values():
            assert isinstance(enclave.answer(*enclave.call("mark", b"", content)), Refusal)
        for arguments in ARGUMENTS.values():
            answered = enclave.answer(*enclave.call("mark", arguments))
            assert isinstance(answered, payloads.Fault)
            assert answered.code == ErrorCode.INVALID_ARGUMENTS
        assert enclave.answer(*enclave.call("mark", pack(["x"]))) == payloads.Result(pack(1))


def test_an_enclave_outlives_any_arguments() -> None:
    """P2, P4: what hypothesis makes of arguments runs only if it is what the handler takes, to the byte."""
    with LoneEnclave() as enclave:
        enclave.join()
        good = pack([b"some octets"])
        spoilt = st.tuples(st.integers(0, len(good) - 1), st.binary(max_size=2))

        @given(st.one_of(st.binary(max_size=40), spoilt))
        def attack(made: bytes | tuple[int, bytes]) -> None:
            arguments = made if isinstance(made, bytes) else good[: made[0]] + made[1] + good[made[0] + 1 :]
            answered = enclave.answer(*enclave.call("echo", arguments))
            if isinstance(answered, payloads.Result):
                assert b"\x91" + answered.value == arguments
            else:
                assert isinstance(answered, payloads.Fault)
                assert answered.code == ErrorCode.INVALID_ARGUMENTS

        attack()
        enclave.converse()


def test_in_a_whole_ring_the_sender_is_removed_and_counted(tmp_path: Path) -> None:
    """P2: an extension's malformed records stand in the log one by one, then its removal; the ring is untouched."""
    with Backstage(tmp_path) as back, perform(extensions={"extra": back.path}) as puppet:
        back.next_hand().tell(intruder.say_record, plaintext=RECORDS["a wide tag"], times=MOST_STRIKES + 1)
        puppet.wait_for("member.removed", member="extra")
        puppet.wait_for("process.ended", member="extra")
        assert len(puppet.lines("record.refused", member="extra")) == MOST_STRIKES + 1
        assert puppet.result("probe.echo", b"unmoved") == b"unmoved"
        assert puppet.lines("ring.dismantling") == []
        assert puppet.leave() == 0


def test_a_user_interface_that_sends_malformed_calls_falls_and_a_new_one_serves() -> None:
    """P2: contents that its own session sealed and that are no calls: refused by the enclave, counted by the broker."""
    with perform() as puppet:
        old = puppet.pid("puppet")
        puppet.tell(intruder.refusals, handler="probe.echo", times=MOST_STRIKES + 1)
        puppet.wait_for("member.removed", member="puppet")
        counted = [each for each in puppet.lines("envelope.refused", member="puppet") if each.detail == "probe.echo"]
        assert len(counted) == MOST_STRIKES + 1
        puppet.wait_for("process.ended", pid=old)
        puppet.wait_for("ring.sealed", epoch=2)
        assert puppet.pid("probe", 2) != puppet.pid("probe", 1)


def test_wrong_arguments_are_no_crime() -> None:
    """P2, P4: they are the caller's own affair: a typed error, however often, and the right ones work."""
    with perform() as puppet:
        outcomes = puppet.act(intruder.call_with, handler="probe.mark", arguments=pack([1]), times=MOST_STRIKES + 4)
        assert outcomes == ["InvalidArguments"] * (MOST_STRIKES + 4)
        assert puppet.result("probe.mark", "right") == 1
        assert puppet.leave() == 0


# Floods (P3).


def settled(broker: LoneBroker) -> int:
    """Return the memory of a broker that has read whatever was sent before."""
    assert broker.alive()
    return resident(broker.process.pid)


def test_giant_lengths_and_deep_nesting_take_no_memory() -> None:
    """P3: what a length claims is never set aside, what is deep is refused; a ping is answered in between."""
    named = [name for name in RECORDS if name.startswith(("a giant", "giant", "deep", "the largest"))]
    assert len(named) == 8
    with LoneBroker() as broker:
        honest = Honest(broker)
        honest.converse()
        before = settled(broker)
        for name in named:
            extra = honest.intruder()
            for _ in range(MOST_STRIKES):
                extra.end.send(sealed_record(extra, RECORDS[name]))
            assert broker.alive()
            honest.converse()
            honest.dismiss(extra)
        assert settled(broker) - before < 8 * MEBIBYTE


def test_a_flood_of_records_starves_nobody() -> None:
    """P3: thousands of records that are no offence: calls and control messages get through in between."""
    with LoneBroker() as broker:
        honest = Honest(broker)
        extra = honest.intruder()
        honest.converse()
        before = settled(broker)
        for _ in range(60):
            for _ in range(50):
                extra.end.send(sealed_record(extra, b"\x90"))
            honest.converse()
        assert settled(broker) - before < 8 * MEBIBYTE
        extra.say(Request(ECHO))
        assert isinstance(extra.hear()[0], Lease)


def test_a_flood_of_tiny_items_is_cut_off() -> None:
    """P3: a record of thousands of refusals and requests: seventeen count, the rest is not even looked at."""
    with LoneBroker() as broker:
        honest = Honest(broker)
        honest.converse()
        before = settled(broker)
        for tiny in ([4, bytes(16)], [2, ""], [3, "", b"", ""], [6, "", 0], [7, ""]):
            extra = honest.intruder()
            count = 180_000 // len(pack(tiny))
            extra.end.send(sealed_record(extra, pack([tiny] * count)))
            broker.notice(NoticeKind.MEMBER_REMOVED, "extra")
            assert len(broker.notices) == MOST_STRIKES + 2
            assert extra.cut_off()
            honest.converse()
        assert settled(broker) - before < 8 * MEBIBYTE


@pytest.mark.parametrize(("size", "together", "records"), [(16, 2000, 1), (128 * 1024, 1, 400)])
def test_parts_beyond_the_credit_are_cut_off(size: int, together: int, records: int) -> None:
    """P3: sixteen pieces may be under way, tiny or long; the seventeenth that is sent without credit costs the link."""
    with LoneBroker() as broker:
        honest = Honest(broker)
        extra = honest.intruder()
        extra.say(Request(ECHO))
        lease, _ = extra.hear()
        assert isinstance(lease, Lease)
        before, body = settled(broker), bytes(size)
        piece = Routed(Kind.PART, "extra", "vault", lease.uids[:16], 0, 0, b"", size, body[-16:])
        with suppress(OSError):
            for _ in range(records):
                extra.end.send(sealed_record(extra, encode((piece,) * together), body * together))
        assert broker.notice(NoticeKind.MEMBER_REMOVED, "extra").why == "more long bodies than its credit"
        assert extra.cut_off()
        assert settled(broker) - before < 16 * MEBIBYTE
        honest.converse()


def test_an_enclave_takes_bounded_memory_for_pieces_that_never_end() -> None:
    """P3: a content over the handler's limit is let go of, piece by piece; its end is a typed error."""
    with LoneEnclave() as enclave:
        enclave.join().converse()
        before, uid, piece = resident(enclave.process.pid), new_uid(), bytes(120 * 1024)
        for _ in range(200):  # 24 MiB for a limit of 4 MiB
            part = enclave.session.seal(Kind.PART, uid, intruder.NEVER, piece)
            enclave.link.end.send(sealed_record(enclave.link, encode((route(part, b""),)), part.body))
        end = b"\0" + (200 * len(piece) + 17).to_bytes(8, "big") + b"\x01" + enclave.codes["echo"]
        last = enclave.session.seal(Kind.CALL, uid, intruder.NEVER, end)
        answered = enclave.answer(route(last, enclave.callers["echo"].next()), last.body)
        assert isinstance(answered, payloads.Fault)
        assert answered.code == ErrorCode.TOO_LARGE
        assert resident(enclave.process.pid) - before < 16 * MEBIBYTE
        assert enclave.alive()
        enclave.converse()


# Names of modules (P5).


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """Return a folder with a module that leaves a mark beside it when it is imported."""
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "canary_module.py").write_text(CANARY.format(path=str(tmp_path / "imported")), encoding="utf-8")
    return folder


def test_the_module_can_be_imported_when_the_declaration_names_it(canary: Path, tmp_path: Path) -> None:
    """P5: the positive half: an actor's module, named by the supervisor's first message, is found on the path."""
    with LoneEnclave("canary_module:Canary", str(canary)) as enclave:
        assert enclave.alive()
    assert (tmp_path / "imported").exists()


NAMES: Final = (
    "canary_module",
    "canary_module:Canary",
    "canary_module.Canary",
    "./canary_module.py",
    "canary_module.so",
)


def test_a_message_imports_nothing_into_an_enclave(canary: Path, tmp_path: Path) -> None:
    """P5, A56: as argument, handler, address, sender, session code: a name stays text."""
    with LoneEnclave("tests.harness.probe:Probe", str(canary)) as enclave:
        enclave.join()
        for name in (*NAMES, str(canary / "canary_module.py")):
            assert isinstance(enclave.answer(*enclave.call("mark", encode((name,)))), payloads.Result)
            refused = enclave.answer(*enclave.call("refuse", encode((name,))))
            assert isinstance(refused, payloads.Fault)
            assert (refused.name, refused.text) == ("Unwilling", name)
            for changes in ({"sender": name}, {"receiver": name}, {"route": name.encode()}):
                item, body = enclave.call("secret" if "route" in changes else "echo", encode(()))
                assert isinstance(enclave.answer(msgspec.structs.replace(item, **changes), body), Refusal)
            assert isinstance(enclave.answer(*enclave.call("echo", b"", name.encode())), Refusal)
            enclave.link.say(Request(name))
        enclave.converse()
    assert not (tmp_path / "imported").exists()


def test_a_message_imports_nothing_into_anybody_else(canary: Path, tmp_path: Path) -> None:
    """P5: broker, supervisor and user interface: a whole ring whose every process could import it."""
    with Puppeteer("tests.harness.stage:puppet_app", {}, folder=canary, environment=PATHS) as puppet:
        puppet.await_epoch(1)
        for name in NAMES:
            assert puppet.result("probe.mark", name)
            assert puppet.call("probe.refuse", name).outcome() == "DeclaredError"
            assert puppet.call("probe.fail", name).outcome() == "HandlerFailed"
            for asked in (f"{name}.echo", f"probe.{name}", name):
                puppet.act(intruder.say_record, plaintext=pack([[2, asked]]), times=1)
        assert puppet.result("probe.echo", b"unmoved") == b"unmoved"
        assert "canary_module" not in puppet.result("probe.modules")
        assert puppet.leave() == 0
    assert not (tmp_path / "imported").exists()


PATHS: Final = {"PYTHONPATH": os.pathsep.join([intruder.REPOSITORY, ""])}


# Out of order, and again (P6).


def test_a_second_manifest_costs_the_enclave_its_place() -> None:
    """P6, A26: before the seal and after it: nothing registers late; another broker with one manifest serves."""
    for late in (False, True):
        with LoneBroker() as broker:
            ui = broker.open("ui", Role.UI, handlers=(ECHO,), peers=("vault",))
            vault = broker.open("vault", Role.ENCLAVE, peers=("ui",))
            broker.begin()
            vault.join().publish(echo=bytes(32))
            if late:
                ui.join()
                broker.seal()
            vault.publish(evil=bytes(32))
            assert broker.notice(NoticeKind.MEMBER_REMOVED, "vault").why == "published out of turn"
            assert vault.cut_off()
    with LoneBroker() as broker:
        Honest(broker).converse()


def test_the_first_ring_key_and_the_first_session_win() -> None:
    """P6, A43: a second key, a second hello: refused; what was stored first goes on to serve."""
    with LoneEnclave() as enclave:
        enclave.join()
        for key in (enclave.key, os.urandom(32)):
            enclave.offer(key)
            assert enclave.expect(control.Notice).kind is NoticeKind.ENVELOPE_REFUSED
        enclave.greet()
        assert enclave.expect(control.Notice).kind is NoticeKind.JOIN_REFUSED
        sealed = enclave.answer(*enclave.call("secret", encode(())))
        assert isinstance(sealed, payloads.SealedResult)
        assert intruder.open_with(enclave.key, sealed.sealed) == encode(SECRET)
        enclave.converse()


def test_a_call_that_comes_late_or_twice_does_not_run() -> None:
    """P6, F1: the order in which a session sealed is the order in which it opens; a step back is refused."""
    with LoneEnclave() as enclave:
        enclave.join()
        first, second = (enclave.call("mark", encode((word,))) for word in ("first", "second"))
        assert enclave.answer(first[0], first[1]) == payloads.Result(encode(1))
        later = enclave.call("echo", encode((b"later",)))
        assert enclave.answer(*later) == payloads.Result(encode(b"later"))
        for again in (second, first, later):
            assert isinstance(enclave.answer(*again), Refusal)
        assert enclave.answer(*enclave.call("mark", encode(("third",)))) == payloads.Result(encode(2))


def test_an_identity_that_is_sent_again_changes_nothing() -> None:
    """P6: the extension's handshake under another's name, after its own: the stored identity wins."""
    with LoneBroker() as broker:
        honest = Honest(broker)
        extra = honest.intruder()
        for name in ("ui", "broker", "vault"):
            stolen = intruder.hello_of(LoneMember(name, Role.UI, extra.end, extra.token))
            extra.end.send(stolen)
            broker.notice(NoticeKind.RECORD_REFUSED, "extra")
            broker.notices.clear()
        extra.say(call_header("ui", honest.uids.pop() if honest.uids else new_uid()), bytes(32))
        broker.notice(NoticeKind.SENDER_REFUSED, "extra")
        honest.converse()
        assert broker.alive()
