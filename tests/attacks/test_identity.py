"""Who somebody is: what the kernel and the spawn record say, never what a message claims (ATTACKS, I rows)."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import msgspec
import pytest

from tests.attacks import intruder
from tests.attacks.intruder import Honest, LoneEnclave, struck_out, traces
from tests.conftest import DEADLINE, descendants, outliving
from tests.harness import acts, proc
from tests.harness.lone_broker import EPOCH, LoneBroker, call_header
from tests.harness.puppeteer import Backstage, Puppeteer, Told, perform
from tests.harness.running import Running
from trollbridge.actors.app import App, Child
from trollbridge.actors.broker.routing import MOST_STRIKES
from trollbridge.actors.processes import sockets
from trollbridge.messages import control
from trollbridge.messages.control import NoticeKind
from trollbridge.messages.envelope import Kind
from trollbridge.messages.errors import DeclarationError, HandshakeFailed
from trollbridge.messages.ids import Role
from trollbridge.messages.record import Publish, PublishedHandler, Routed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ROOT: Final = os.geteuid() == 0
STAGE: Final = "tests.harness.stage:puppet_app"
NAMES: Final = {
    "a suffix": "ui.evil",
    "capitals": "UI",
    "a capital": "Ui",
    "a zero byte": "ui\0x",
    "a homoglyph": "u\u0456",
    "full width": "\uff55\uff49",
    "a prefix": "u",
    "a longer name": "uix",
    "a space behind": "ui ",
    "a line's end": "ui\n",
    "an invisible sign": "u\u200bi",
    "a slash": "../ui",
    "nothing": "",
}
ALLOWED: Final = ("a prefix", "a longer name")
"""Names that others may bear: they are not `ui`, and that is all."""


# Who speaks on a descriptor (I1).


PROGRAM: Final = ("/bin/true",)
"""What an extension declares that the kernel is to let fork: it is kept less well for it."""


@pytest.mark.parametrize("depth", [1, 2])
def test_a_fork_of_the_user_interface_is_not_heard_on_its_link(depth: int) -> None:
    """I1: a fork, and a fork of the fork, seals a valid record with the very key: refused, logged, and no harm done."""
    with perform() as puppet:
        pid = puppet.act(intruder.speak_from_a_fork, depth=depth, channel="link")
        line = puppet.wait_for("sender.refused", member="puppet")
        assert line.why == "another process spoke on its descriptor"
        assert pid != puppet.pid("puppet")
        assert puppet.result("probe.echo", b"it is me") == b"it is me"
        assert puppet.leave() == 0


def test_forks_that_go_on_speaking_cost_the_member_its_link(tmp_path: Path) -> None:
    """I1: each is counted; the one too many costs the extension its process, and nobody else anything."""
    with Backstage(tmp_path) as back, perform(extensions={"extra": back.path}, extension_programs=PROGRAM) as puppet:
        extra, known = back.next_hand(), descendants()
        extra.tell(intruder.speak_from_forks, times=MOST_STRIKES + 1)
        puppet.wait_for("member.removed", member="extra")
        puppet.wait_for("process.ended", member="extra")
        assert outliving(known, DEADLINE) == frozenset()  # the last fork, whose parent is gone
        assert len(puppet.lines("sender.refused", member="extra")) == MOST_STRIKES + 1
        assert puppet.result("probe.echo", b"unmoved") == b"unmoved"
        assert (puppet.epoch, puppet.leave()) == (1, 0)


def test_a_fork_is_not_heard_on_the_control_channel(tmp_path: Path) -> None:
    """I1: the supervisor listens to the process that it spawned; a fork's word costs its member the process."""
    with Backstage(tmp_path) as back, perform(extensions={"extra": back.path}, extension_programs=PROGRAM) as puppet:
        extra, known = back.next_hand(), descendants()
        extra.tell(intruder.speak_from_a_fork, depth=1, channel="control")
        puppet.wait_for("process.refused", member="extra")
        assert puppet.wait_for("process.ended", member="extra").signal == "SIGKILL"
        assert outliving(known, DEADLINE) == frozenset()  # the fork, whose parent is gone
        assert puppet.result("probe.echo", b"unmoved") == b"unmoved"
        assert (puppet.epoch, puppet.leave()) == (1, 0)


def test_an_extension_that_declares_no_program_cannot_fork(tmp_path: Path) -> None:
    """I1, K3: the kernel refuses it, so there is nobody to speak; the extension itself is heard as before."""
    with (
        Backstage(tmp_path) as back,
        perform(extensions={"extra": back.path}, extension_grants=("probe.echo",)) as puppet,
    ):
        extra, known = back.next_hand(), descendants()
        for channel in ("link", "control"):
            with pytest.raises(Told) as told:
                extra.act(intruder.speak_from_a_fork, depth=1, channel=channel)
            assert told.value.kind == "PermissionError"
        assert extra.result("probe.echo", b"it is me") == b"it is me"
        assert descendants() == known
        assert puppet.lines("sender.refused") == puppet.lines("process.refused") == []
        assert puppet.leave() == 0


def test_a_program_that_a_member_starts_inherits_no_descriptor() -> None:
    """I1: link and control channel close on exec, so a grandchild has nothing to speak on."""
    with perform() as puppet:
        assert puppet.act(intruder.descriptors_of_a_program) == []
        assert puppet.result("probe.echo", b"mine") == b"mine"
        assert puppet.leave() == 0


def test_a_stranger_that_was_handed_the_descriptor_and_the_key_is_not_heard() -> None:
    """I1: the same record counts from the registered process and from no other."""
    with LoneBroker() as broker:
        honest = Honest(broker)
        end = honest.ui.end
        record = intruder.sealed_record(honest.ui, msgspec.msgpack.encode([[2, "vault.echo"]]))
        code = f"import socket; socket.socket(fileno={end.fileno()}).send(bytes.fromhex('{record.hex()}'))"
        subprocess.run([sys.executable, "-I", "-c", code], check=True, pass_fds=[end.fileno()], env={})
        assert broker.notice(NoticeKind.SENDER_REFUSED, "ui").why == "another process spoke on its descriptor"
        end.send(record)
        assert honest.ui.hear()[0].__class__.__name__ == "Lease"
        honest.uids.clear()


# Roles (I3).


CLAIMS: Final = {
    "a reply of a client": Routed(Kind.REPLY, "extra", "ui", bytes(16), 0, 0, b"", 32, bytes(16)),
    "a reply of the enclave": Routed(Kind.REPLY, "vault", "ui", bytes(16), 0, 0, b"", 32, bytes(16)),
    "the broker's route": Routed(Kind.CALL, "extra", "vault", bytes(16), 0, 0, bytes(16), 32, bytes(16)),
    "the user interface's name": Routed(Kind.CALL, "ui", "vault", bytes(16), 0, 0, b"", 32, bytes(16)),
    "the broker's name": Routed(Kind.SESSION, "broker", "vault", bytes(16), 0, 0, b"", 32, bytes(16)),
    "the supervisor's name": Routed(Kind.CALL, "supervisor", "vault", bytes(16), 0, 0, b"", 32, bytes(16)),
}


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_header_gives_nobody_a_role(claim: str) -> None:
    """I3, I2: an extension that writes another's name, role or route into its headers is refused, at last removed."""
    with LoneBroker() as broker:
        honest = Honest(broker)
        extra = honest.intruder()
        kinds = struck_out(broker, extra, lambda: extra.say(CLAIMS[claim], bytes(32)))
        assert set(kinds[:-1]) <= {NoticeKind.SENDER_REFUSED, NoticeKind.ENVELOPE_REFUSED}
        assert len(kinds) == MOST_STRIKES + 2
        honest.converse()


@pytest.mark.parametrize("claimed", [Role.UI, Role.ENCLAVE, Role.BROKER])
def test_a_role_that_is_claimed_in_the_handshake_founds_no_link(claimed: Role) -> None:
    """I3: the prologue binds the role of the spawn record; whoever says another does not get in, nor try again."""
    with LoneBroker() as broker:
        honest = Honest(broker)
        extra = broker.open("extra", Role.EXTENSION, handlers=("vault.echo",), peers=("vault",))
        with pytest.raises(HandshakeFailed):
            extra.join(role=claimed)
        broker.notice(NoticeKind.JOIN_REFUSED, "extra")
        broker.notice(NoticeKind.MEMBER_REMOVED, "extra")
        honest.converse()
        honest.intruder()


def test_an_extension_that_publishes_is_no_enclave() -> None:
    """I3, P6: it is removed on the spot, and its handlers are nowhere."""
    with LoneBroker() as broker:
        honest = Honest(broker)
        extra = honest.intruder()
        extra.say(Publish((PublishedHandler("echo", bytes(32)),)))
        assert broker.notice(NoticeKind.MEMBER_REMOVED, "extra").why == "published out of turn"
        assert extra.cut_off()
        honest.converse()


# Names (I4).


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_looks_like_another_is_another(name: str) -> None:
    """I4, I2: in a header, as the sender or as the receiver, only the exact bytes count."""
    with LoneBroker() as broker:
        honest = Honest(broker)
        uid = honest.call()
        honest.answer(uid, bytes(32))
        honest.ui.say(call_header(NAMES[name], honest.uids[-1]), bytes(32))
        broker.notice(NoticeKind.SENDER_REFUSED, "ui")
        assert honest.ui.hear()[0].__class__.__name__ == "Refusal"
        honest.ui.say(call_header("ui", honest.uids[-1], receiver=f"vault{NAMES[name][2:]}."), bytes(32))
        assert broker.notice(NoticeKind.UID_REFUSED, "ui").why == "leased for a handler of another enclave"
        assert honest.ui.hear()[0].__class__.__name__ == "Refusal"
        honest.converse()


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ALLOWED])
def test_a_declaration_refuses_names_that_could_be_taken_for_others(name: str) -> None:
    """I4: one alphabet for all, so there is nothing to confuse; the broker takes no other from a supervisor either."""
    if NAMES[name]:
        with pytest.raises(DeclarationError):
            Child("tests.harness.probe:Probe", name=NAMES[name])
    with LoneBroker() as broker:
        broker.open(NAMES[name], Role.UI)
        assert broker.end() == 1
    with LoneBroker() as broker:
        Honest(broker).converse()


@pytest.mark.parametrize("taken", ["broker", "supervisor", "probe"])
def test_a_declaration_refuses_a_name_that_is_taken(taken: str) -> None:
    """I4: nobody can be declared as the broker, as the supervisor, or as somebody who is there already."""
    with pytest.raises(DeclarationError):
        App(ui=Child("tests.harness.puppet:Puppet", name=taken), enclaves=["tests.harness.probe:Probe"])
    assert App(ui=Child("tests.harness.puppet:Puppet", name="ui"), enclaves=["tests.harness.probe:Probe"]).children


# Wrong credentials (I6).


def test_a_wrong_password_leaves_no_trace_and_tells_nothing(tmp_path: Path) -> None:
    """I6, A25: a wrong, a used and an unknown proof are one error; no secret in error, traceback, repr, log or file."""
    with Puppeteer("tests.attacks.intruder:vault_app", {"path": str(tmp_path / "the.vault")}) as puppet:
        puppet.await_epoch(1)
        shown = puppet.act(intruder.unlock_badly)
        errors = {shown.pop(f"{name} error") for name in ("wrong", "used", "unknown")}
        assert len(errors) == 1
        assert errors.pop().startswith("WrongPassword: ")
        canaries = [intruder.RIGHT.encode(), intruder.WRONG.encode(), *puppet.act(intruder.credentials)]
        assert traces([each.encode() for each in shown.values()], canaries) == []
        assert puppet.act(intruder.unlock_well) == "open"
        assert puppet.leave() == 0
        log = repr(puppet.log.items).encode()
        files = [each.read_bytes() for each in tmp_path.rglob("*") if each.is_file()]
        assert files
        assert traces([log, *files], canaries) == []


@pytest.mark.parametrize("member", ["probe", "puppet"])
def test_a_wrong_token_leaves_no_trace(member: str) -> None:
    """I6, A37: a boot that fails for a wrong join token says so and does not show the token; an honest boot works."""
    with Running("tests.attacks.intruder:marked_token_app", {"member": member}) as running:
        assert running.finish() != 0
        log = running.report() + repr(running.log.items)
        assert traces([log.encode()], [intruder.TOKEN]) == []
        assert running.lines("join.refused", member=member)
    with perform() as puppet:
        assert puppet.result("probe.echo", b"in") == b"in"
        assert puppet.leave() == 0


def test_every_wrong_credential_gets_the_same_silence() -> None:
    """I6: wrong, zero, another epoch's, another member's: the broker closes the link without a word, always alike."""
    with LoneBroker() as broker:
        honest = Honest(broker)
        told: set[str] = set()
        attempts: list[dict[str, object]] = [
            {"token": os.urandom(32)},
            {"token": bytes(32)},
            {"epoch": EPOCH + 1},
            {"role": Role.UI},
            {"token": honest.ui.token},
        ]
        for attempt in attempts:
            extra = broker.open("extra", Role.EXTENSION, peers=("vault",))
            with pytest.raises(HandshakeFailed) as caught:
                extra.join(**attempt)  # type: ignore[arg-type]
            assert extra.cut_off()
            told.add(f"{caught.value!r} {broker.notice(NoticeKind.JOIN_REFUSED, 'extra').why}")
            broker.notice(NoticeKind.MEMBER_REMOVED, "extra")
            assert traces([repr(broker.notices).encode()], [extra.token, honest.ui.token]) == []
            broker.notices.clear()
        assert len(told) == 1
        honest.converse()


# Hello again, or out of order (I8).


def test_a_record_before_the_hello_costs_the_link() -> None:
    """I8: whatever comes first must be the hello; nothing else is waited for."""
    with LoneBroker() as broker:
        honest = Honest(broker)
        extra = broker.open("extra", Role.EXTENSION, peers=("vault",))
        extra.end.send(bytes(64))
        broker.notice(NoticeKind.JOIN_REFUSED, "extra")
        broker.notice(NoticeKind.MEMBER_REMOVED, "extra")
        assert extra.cut_off()
        honest.converse()


def test_a_second_hello_on_a_link_founds_nothing_and_costs_the_link() -> None:
    """I8, A38: the token is used; the first link goes on until the hellos are too many, and then it is cut."""
    with LoneBroker() as broker:
        honest = Honest(broker)
        first, second = sockets.pair()
        extra = honest.intruder()
        with first, second:
            spare = intruder.hello_of(extra)
            kinds = struck_out(broker, extra, lambda: extra.end.send(spare))
        assert kinds == [NoticeKind.RECORD_REFUSED] * (MOST_STRIKES + 1) + [NoticeKind.MEMBER_REMOVED]
        honest.converse()


def test_a_second_hello_on_a_control_channel_harms_nobody_else(tmp_path: Path) -> None:
    """I8, P2: the supervisor lives on, the ring too; whoever repeats its hello gets nothing by it."""
    hello = control.FROM_CHILD.encode(control.Hello())
    with Backstage(tmp_path) as back, perform(extensions={"extra": back.path}) as puppet:
        extra = back.next_hand()
        extra.tell(acts.control_packet, packet=hello)
        puppet.wait_for("process.refused", member="extra")
        puppet.wait_for("process.ended", member="extra")
        assert puppet.result("probe.echo", b"unmoved") == b"unmoved"
        assert puppet.lines("ring.dismantling") == []
        assert puppet.leave(3) == 3


BOOT: Final = control.Boot("broker", "broker", "", (), ())
OUT_OF_ORDER: Final[dict[str, control.ToChild]] = {
    "a second boot": BOOT,
    "a second join": control.Join(EPOCH, bytes(32), ()),
    "a change of keys": control.Drain(EPOCH),
    "another's ticket": control.Admit(control.SessionTicket("x", "extension", "vault", "enclave", bytes(32), ())),
}


@pytest.mark.parametrize("said", OUT_OF_ORDER)
def test_a_broker_that_is_told_something_out_of_order_ends(said: str) -> None:
    """I8: its ring would no longer be the one that was formed; an honest broker goes on to serve."""
    with LoneBroker() as broker:
        honest = Honest(broker)
        honest.converse()
        broker.tell(OUT_OF_ORDER[said])
        assert broker.end() == 1


@pytest.mark.parametrize("role", [Role.UI, Role.ENCLAVE])
def test_nobody_but_an_extension_is_let_into_a_sealed_ring(role: Role) -> None:
    """I8, A33: a broker that is told otherwise ends; told of an extension it goes on."""
    with LoneBroker() as broker:
        Honest(broker).converse()
        broker.open("late", role)
        assert broker.end() == 1
    with LoneBroker() as broker:
        honest = Honest(broker)
        honest.intruder()
        honest.converse()


TO_AN_ENCLAVE: Final[dict[str, Callable[[LoneEnclave], control.ToChild]]] = {
    "a second boot": lambda _: BOOT,
    "a second join": lambda enclave: control.Join(EPOCH, enclave.link.token, (enclave.ticket,)),
    "a join of the next epoch": lambda _: control.Join(EPOCH + 1, os.urandom(32), ()),
    "a link to open": lambda _: control.OpenLink(EPOCH, "x", "ui", 1, bytes(32), (), ()),
    "a second user interface": lambda enclave: control.Admit(enclave.ticket),
    "a change of keys": lambda _: control.Drain(EPOCH),
}


@pytest.mark.parametrize("said", TO_AN_ENCLAVE)
def test_an_enclave_that_is_told_something_out_of_order_ends(said: str) -> None:
    """I8, A43: once it is in a ring nothing makes it join another one; before that it serves."""
    with LoneEnclave() as enclave:
        enclave.join().converse()
        enclave.tell(TO_AN_ENCLAVE[said](enclave))
        assert enclave.end() == 1


# What /proc shows (I9).


def test_what_proc_shows_of_every_process_holds_no_secret_and_no_descriptor_too_many(tmp_path: Path) -> None:
    """I9, A40: the supervisor, the broker, the vault, the UI and an extension: arguments, environment, descriptors."""
    canary = {"TROLLBRIDGE_PASSWORD": intruder.RIGHT}
    with (
        Backstage(tmp_path) as back,
        Puppeteer(STAGE, {"extensions": {"extra": back.path}}, environment=canary) as puppet,
    ):
        puppet.await_epoch(1)
        back.next_hand()
        found = puppet.act(acts.secrets, of=1)
        canaries = [found["ring_key"], found["join_token"], *found["tickets"], intruder.RIGHT.encode()]
        wanted = {
            "broker": ["/dev/null"] * 3 + ["anon_inode"] + ["socket"] * 3 + ["socket"],
            "probe": ["/dev/null"] * 3 + ["anon_inode"] + ["socket"] * 2,
            "puppet": ["pipe"] * 5 + ["socket"] * 2,
            "extra": ["/dev/null"] * 3 + ["pipe"] * 2 + ["socket"] * 3,
        }
        for member, kinds in wanted.items():
            pid = puppet.pid(member)
            assert proc.arguments(pid).split(b"\0")[1:3] == [b"-I", b"-c"]
            environment, descriptors = proc.environment(pid), proc.descriptors(pid)
            assert traces([proc.arguments(pid), environment or b""], canaries) == []
            if ROOT:
                assert sorted(each.split(":")[0] for each in (descriptors or {}).values()) == sorted(kinds)
            else:
                assert (environment, descriptors) == (None, None)
        own = puppet.act(acts.descriptors).values()  # by itself, where nobody else may look
        assert sorted(each.split(":")[0] for each in own) == sorted(wanted["puppet"])
        assert puppet.result("probe.echo", b"seen") == b"seen"
        assert puppet.leave() == 0
