"""With any one layer taken out, the attack that it stops first is stopped by another one (A3).

Each application here is the shipped one, but that every child of it lacks one layer (`tests/harness/weakened.py`). Each
test shows three things: the layer is really gone, the honest path works, and what the attacker wanted did not happen.
The journal, which outlives enclaves, counts what has run.

Where a layer stands alone, in the same words for THREATS.md:
- the sandbox is the only one against what an enclave or an extension does with the rights of its user: it may read that
  user's files, listen on a port, and end other processes of the user. What keys those files hold stays sealed, and the
  memory of the others stays closed.
- the session is the only one that keeps ordinary bodies from the broker. A `sensitive` result is sealed once more.
- a UID that its own holder uses twice, for a fresh call of a handler that it is granted, is no attack without the UIDs:
  it is a call that the holder may make anyway. What it loses is the bound on calls in flight.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.attacks import hostile_acts, layer_acts
from tests.enclave.memory_scan import scan
from tests.harness import acts, weakened
from tests.harness.probe import SECRET
from tests.harness.puppeteer import Backstage, Distant, Puppeteer, Told, perform
from tests.harness.running import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ROOT: Final = os.geteuid() == 0
GRANTED: Final = ("probe.echo", "probe.die", "probe.secret")
"""What the attacker may call; `die` with signal 0 leaves a line in the journal and does no harm."""
WORD: Final = "what must not run"


def stage(layer: str, folder: Path, **settings: Any) -> tuple[Puppeteer, Path]:  # noqa: ANN401  # passed on
    """Start an application without a layer; return it and its journal."""
    journal = folder / "journal"
    settings = {"grants": GRANTED, "capture": True, **settings}
    return perform("tests.harness.weakened:application", layer=layer, journal=str(journal), **settings), journal


def ran(journal: Path) -> list[str]:
    """Return what handlers have written into the journal."""
    return [each for each in journal.read_text("utf-8").splitlines() if each != "start"]


class Attacker:
    """A hostile user interface with its keys and UIDs. Each attack aims at one execution that must not be."""

    def __init__(self, puppet: Puppeteer) -> None:
        """Take whose strings to pull; go the honest path once, and keep what was sent."""
        self._puppet = puppet
        puppet.act(hostile_acts.remember)
        self.call()
        sent, _ = puppet.act(acts.packets, of=1)
        self._packet: bytes = sent[-1]
        self._used: bytes = puppet.act(hostile_acts.used_uids)[-1]

    def call(self) -> None:
        """Go the honest path, once."""
        self._puppet.result("probe.die", 0)

    def refused(self, attack: str, count: int) -> set[str]:
        """Attack, and return the first `count` refusals that follow in the log, each with its event and reason."""
        start = len(_refusals(self._puppet))
        getattr(self, attack)()
        seen: list[str] = []

        def enough(_: object) -> bool:
            seen[:] = _refusals(self._puppet)[start:]
            return len(seen) >= count

        self._puppet.log.wait(enough, PATIENCE)
        return set(seen)

    def _fresh(self, handler: str) -> bytes:
        uid: bytes = self._puppet.act(hostile_acts.take, handler=handler)
        return uid

    def replay_the_packet(self) -> None:
        """Send the very packet of the call once more."""
        self._puppet.act(hostile_acts.say_packets, packets=[self._packet])

    def replay_the_envelope(self) -> None:
        """Send the envelope of the call once more, in a record of its own."""
        self._puppet.act(hostile_acts.say_again, changes={})

    def replay_under_a_fresh_uid(self) -> None:
        """Send the body of the call once more, under a UID that was not used."""
        self._puppet.act(hostile_acts.say_again, changes={"uid": self._fresh("probe.die")})

    def redirect(self) -> None:
        """Send a body for `die` to the address of `echo`."""
        arguments = {"handler": "probe.echo", "inside": "probe.die", "arguments": [0]}
        self._puppet.act(hostile_acts.call_under, promise="r", uid=self._fresh("probe.echo"), **arguments)

    def alter(self) -> None:
        """Send a body with the right sequence that is not what was sealed."""
        changes = {"uid": self._fresh("probe.die"), "sequence": self._puppet.act(layer_acts.next_sequence)}
        self._puppet.act(hostile_acts.say_again, changes=changes, body=os.urandom(144))

    def call_what_is_not_granted(self) -> None:
        """Call `mark` by a guessed code, under a UID for it if the broker gives one, else under another."""
        self._say_code(os.urandom(16))

    def call_what_is_not_granted_by_a_known_code(self) -> None:
        """Call `mark` by the code of a handler that is granted."""
        self._say_code(self._puppet.act(hostile_acts.codes)["probe.echo"])

    def _say_code(self, code: bytes) -> None:
        try:
            uid = self._fresh("probe.mark")
        except Told as told:
            if told.kind != "PermissionError":
                raise
            uid = self._fresh("probe.die")
        what = {"handler": "probe.die", "uid": uid, "code": code, "word": WORD}
        self._puppet.act(hostile_acts.call_with_code, promise=f"c {code.hex()}", **what)


def _refusals(puppet: Puppeteer) -> list[str]:
    """Return every refusal in the log so far; what the broker hears of the enclave's is no other one."""
    events = ("record.refused", "uid.refused", "lease.refused", "envelope.refused")
    lines = [each for each in puppet.lines() if each.event in events and each.why != BY_THE_ENCLAVE]
    return [f"{each.event}: {each.why}" for each in lines]


BY_THE_ENCLAVE: Final = "the enclave could not open or accept it"
USED: Final = "uid.refused: never issued, used or void"
OLD: Final = "envelope.refused: OutOfSequence"
FORGED: Final = "envelope.refused: AuthenticationFailed"
"""By the session, or where it is open by the code that it names."""
NOT_GRANTED: Final = "lease.refused: no grant"
SHIPPED: Final = {
    "replay_the_packet": {"record.refused: AuthenticationFailed"},
    "replay_the_envelope": {USED},
    "replay_under_a_fresh_uid": {OLD},
    "redirect": {FORGED},
    "call_what_is_not_granted": {NOT_GRANTED, FORGED},
    "call_what_is_not_granted_by_a_known_code": {NOT_GRANTED, FORGED},
    "alter": {FORGED},
}
"""Each attack, and who refuses it in an application as it ships."""
INSTEAD: Final[Mapping[str, dict[str, set[str]]]] = {
    "none": {},
    "sandbox": {},  # it is no party to any of these
    "uid": {"replay_the_envelope": {OLD}},
    "link": {"replay_the_packet": {USED}},
    "session": {"alter": {"envelope.refused: Malformed"}},
    "grants": {"call_what_is_not_granted": {FORGED}, "call_what_is_not_granted_by_a_known_code": {FORGED}},
}
"""By layer that is gone: who refuses what that layer would have refused."""


@pytest.mark.parametrize("layer", weakened.LAYERS)
def test_what_one_layer_lets_through_another_one_stops(layer: str, tmp_path: Path) -> None:
    """A3, A22, A27, A46, A54, F1, F3, F4: seven attacks for each layer that is gone; nothing of them runs."""
    puppet, journal = stage(layer, tmp_path)
    expected = SHIPPED | INSTEAD[layer]
    with puppet:
        attacker = Attacker(puppet)
        found: dict[str, set[str]] = {}
        for attack, refusals in expected.items():
            if attack == "alter":
                attacker.call()  # now: without the session's tag, the attack costs the attacker its own session
            found[attack] = attacker.refused(attack, len(refusals))
        assert found == expected
        assert puppet.leave() == 0
        assert ran(journal) == ["die", "die"]
        assert len(_refusals(puppet)) == sum(map(len, expected.values()))


@pytest.mark.parametrize("layer", ["uid", "link", "session"])
def test_a_recorded_run_is_worth_nothing_in_the_next_ring(layer: str, tmp_path: Path) -> None:
    """A3, A7, F2: the packets of epoch 1 in epoch 2: another link, other UIDs, another session each stand alone."""
    puppet, journal = stage(layer, tmp_path)
    with puppet:
        for _ in range(3):
            puppet.result("probe.die", 0)
        sent, _ = puppet.act(acts.packets, of=1)
        puppet.kill("probe")
        puppet.await_epoch(2)
        puppet.act(hostile_acts.say_packets, packets=sent[-3:])
        puppet.result("probe.die", 0)
        assert puppet.leave() == 0
        assert ran(journal) == ["die"] * 4
        assert _refusals(puppet) == [USED if layer == "link" else "record.refused: AuthenticationFailed"] * 3


@pytest.mark.parametrize("layer", ["none", "uid"])
def test_the_uid_of_another_opens_nothing_that_is_not_granted(layer: str, tmp_path: Path) -> None:
    """A3, A22, A27, A49, F7: an extension has a UID of the user interface; unchecked, it arrives and opens nothing."""
    with Backstage(tmp_path) as back:
        puppet, journal = stage(layer, tmp_path, extensions={"extra": back.path}, extension_grants=("probe.echo",))
        with puppet:
            extra = back.next_hand()
            code = extra.act(hostile_acts.codes)["probe.echo"]
            for number, each in enumerate((code, os.urandom(16))):
                uid = puppet.act(hostile_acts.take, handler="probe.die")
                what = {"handler": "probe.echo", "uid": uid, "code": each, "word": WORD}
                extra.act(hostile_acts.call_with_code, promise=str(number), **what)
                assert Distant(extra, str(number)).outcome() == "Refused"
            puppet.result("probe.die", 0)
            assert extra.result("probe.echo", b"its own") == b"its own"
            assert puppet.leave() == 0
            assert ran(journal) == ["die"]
            denied = "uid.refused: leased to another member" if layer == "none" else FORGED
            assert _refusals(puppet) == [denied] * 2


@pytest.mark.parametrize("altered", ["uid", "body"])
def test_what_is_altered_on_an_open_link_is_refused_by_the_session(altered: str, tmp_path: Path) -> None:
    """A3, A46, F3, I2: somebody between the processes changes a call on its way: its UID, or a bit of its body."""
    puppet, journal = stage("link", tmp_path)
    with puppet:
        puppet.act(hostile_acts.remember)
        puppet.result("probe.die", 0)
        uid = puppet.act(hostile_acts.take, handler="probe.die") if altered == "uid" else b""
        puppet.act(layer_acts.meddle_with_the_next_call, uid=uid)
        puppet.send("probe.die", 0)
        puppet.wait_for("envelope.refused", why="AuthenticationFailed")
        puppet.result("probe.die", 0)
        assert puppet.leave() == 0
        assert ran(journal) == ["die"] * 2
        assert _refusals(puppet) == [FORGED]


@pytest.mark.parametrize("layer", ["link", "session"])
def test_a_sensitive_result_is_sealed_though_a_layer_is_open(layer: str, tmp_path: Path) -> None:
    """A3, A9, A41: without the sessions the broker reads calls and replies, but what is for the core UI it cannot."""
    canary = os.urandom(16).hex().encode()
    puppet, _ = stage(layer, tmp_path)
    with puppet:
        assert puppet.result("probe.echo", canary) == canary
        assert puppet.result("probe.secret") == SECRET
        sent, received = (b"".join(each) for each in puppet.act(acts.packets, of=1))
        assert (canary in sent, canary in received) == (layer == "session",) * 2
        assert b"probe" in sent if layer == "link" else b"probe" not in sent
        assert SECRET.encode() not in received
        assert puppet.leave() == 0


def test_an_extension_without_a_sandbox_gets_at_no_other_process(tmp_path: Path) -> None:
    """A3, A49, K3, I9: what is no longer refused to an extension is refused by the process that it reaches for.

    As root too, where nothing of that stands, the ring key is in no memory that can be read.
    """
    with Backstage(tmp_path) as back:
        puppet, journal = stage("sandbox", tmp_path, extensions={"extra": back.path}, extension_grants=("probe.echo",))
        with puppet:
            extra = back.next_hand()
            mine = tmp_path / "mine"
            mine.write_bytes(b"a file of the same user")
            assert extra.act(layer_acts.read_file, path=str(mine)) == mine.read_bytes(), "the layer is really gone"
            extra.act(layer_acts.listen)
            key = puppet.act(acts.secrets, of=1)["ring_key"]
            for member in ("supervisor", "broker", "probe", "puppet"):
                pid = puppet.supervisor if member == "supervisor" else puppet.pid(member)
                reached = extra.act(layer_acts.reach_for, pid=pid)
                assert set(reached.values()) == {"worked" if ROOT else "PermissionError"}, (member, reached)
                if ROOT and member != "puppet":
                    assert scan(pid, {"ring key": key}).counts["ring key"] <= (2 if member == "probe" else 0)
            with pytest.raises(Told) as told:
                extra.act(hostile_acts.lease, handler="probe.mark")
            assert told.value.kind == "PermissionError"
            puppet.result("probe.die", 0)
            assert puppet.leave() == 0
            assert ran(journal) == ["die"]


def test_a_process_that_an_extension_without_a_sandbox_kills_takes_its_ring_along(tmp_path: Path) -> None:
    """A3, A50, K4: only the sandbox keeps it from ending others; what it gains is the end of its own ring."""
    with Backstage(tmp_path) as back:
        puppet, journal = stage("sandbox", tmp_path, extensions={"extra": back.path}, extension_grants=("probe.echo",))
        with puppet:
            extra = back.next_hand()
            old = puppet.pid("extra")
            extra.tell(layer_acts.end, pid=puppet.pid("probe"))
            puppet.await_epoch(2)
            assert puppet.wait_for("process.ended", member="probe").signal == "SIGKILL"
            puppet.wait_for("process.ended", member="extra", pid=old)
            back.next_hand()
            puppet.result("probe.die", 0)
            assert puppet.leave() == 0
            assert ran(journal) == ["die"]


def test_the_shipped_sandbox_is_what_was_missing(tmp_path: Path) -> None:
    """A3, A49: the other half: the same acts in an application as it ships are refused."""
    with Backstage(tmp_path) as back:
        puppet, _ = stage("none", tmp_path, extensions={"extra": back.path}, extension_grants=("probe.echo",))
        with puppet:
            extra = back.next_hand()
            mine = tmp_path / "mine"
            mine.write_bytes(b"a file of the same user")
            for act, what in (
                (layer_acts.read_file, {"path": str(mine)}),
                (layer_acts.end, {"pid": puppet.pid("probe")}),
            ):
                with pytest.raises(Told) as told:
                    extra.act(act, **what)
                assert told.value.kind == "PermissionError"
            assert puppet.result("probe.echo", b"it lives") == b"it lives"
            assert puppet.leave() == 0
            assert puppet.lines("ring.dismantling", epoch=1, why="SIGKILL") == []
