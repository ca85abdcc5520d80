"""Where code is: nowhere twice. Fresh processes and codes, a new address for every call, nothing of the last run."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

import os
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.attacks import hostile_acts
from tests.attacks.middle import Middle, Passing
from tests.attacks.test_hostile_broker import Hook, change
from tests.harness import acts, proc
from tests.harness.puppeteer import Puppeteer, perform
from trollbridge.messages.envelope import Kind
from trollbridge.messages.ids import BROKER, MemberId
from trollbridge.messages.record import Publish, Routed

if TYPE_CHECKING:
    from collections.abc import Iterator

MEMBERS: Final = ("broker", "puppet", "probe")
AS_ROOT: Final = os.geteuid() == 0


def bases(memory_map: str) -> dict[str, int]:
    """Return where the stack and the C library of a process lie."""
    found: dict[str, int] = {}
    for line in memory_map.splitlines():
        place, name = int(line.partition("-")[0], 16), line.split(maxsplit=5)[5:] or [""]
        kind = re.sub(r".*(\[stack\]|libc\.so).*", r"\1", name[0])
        if kind in {"[stack]", "libc.so"}:
            found.setdefault(kind, place)
    return found


def pids(puppet: Puppeteer) -> dict[str, int]:
    """Return who is who."""
    return {member: puppet.pid(member) for member in MEMBERS} | {"supervisor": puppet.supervisor}


def test_every_process_is_a_fresh_exec_with_a_layout_of_its_own() -> None:
    """A5: no two of them, and no two incarnations, have their stack or their libraries at one place.

    They show it to root only; the puppet tells its own.
    """
    seen: list[dict[str, int]] = []
    for _ in range(2 if AS_ROOT else 4):
        with perform() as puppet:
            for epoch in (1, 2):
                found = {member: proc.memory_map(pid) for member, pid in pids(puppet).items()}
                assert [each is not None for each in found.values()] == [AS_ROOT] * 4
                own = bases(puppet.act(acts.memory_map))
                assert not AS_ROOT or own == bases(found["puppet"] or "")
                seen += [own] if epoch == 1 else []
                new = {"broker", "probe", "supervisor"} if epoch == 1 else {"broker", "probe"}
                seen += [bases(each) for member, each in found.items() if each and member in new]
                if epoch == 1:
                    puppet.kill("probe")
                    puppet.await_epoch(2)
    assert len(seen) == (12 if AS_ROOT else 4)
    for kind in ("[stack]", "libc.so"):  # the heap of a program at a fixed place has but 13 random bits
        places = [each[kind] for each in seen if kind in each]
        assert len(places) >= 4
        assert len(set(places)) == len(places)


def test_every_child_is_started_anew_and_never_forked() -> None:
    """A5: the command line of a fresh interpreter in isolated mode, with its role and a descriptor, in each of them."""
    with perform() as puppet:
        for member, pid in pids(puppet).items():
            if member != "supervisor":
                line = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                assert line[1] == b"-I"
                assert line[-3] in (b"ui", b"broker", b"enclave")
                assert line[-2].isdigit()


def test_session_codes_are_unique_to_a_run_an_epoch_and_a_member() -> None:
    """A4, A5: 128 random bits for each handler; two epochs and two runs share none."""
    seen: list[dict[str, bytes]] = []
    for _ in range(2):
        with perform(enclaves=("one", "two")) as puppet:
            seen.append(puppet.act(hostile_acts.codes))
            puppet.kill("one")
            puppet.await_epoch(2)
            seen.append(puppet.act(hostile_acts.codes))
    found = [code for each in seen for code in each.values()]
    assert {len(code) * 8 for code in found} == {128}
    assert (len(found), len(set(found))) == (4 * len(seen[0]), 4 * len(seen[0]))
    ones = sum(int.from_bytes(code, "big").bit_count() for code in found) / len(found)
    assert 54 < ones < 74


def test_what_an_application_reads_of_its_handlers_stays_the_same_within_a_run() -> None:
    """A4, A18: names, signatures and reprs, byte for byte, at each reading and in the next epoch; no code in them."""
    with perform(grants=("probe.echo", "probe.mark")) as puppet:
        first, codes = puppet.act(hostile_acts.stubs), puppet.act(hostile_acts.codes)
        assert first[1:] == [
            "<member probe: echo, mark>",
            "<handler probe.echo> (data: bytes) -> bytes",
            "<handler probe.mark> (word: str) -> int",
        ]
        assert puppet.act(hostile_acts.stubs) == first
        puppet.kill("probe")
        puppet.await_epoch(2)
        assert puppet.act(hostile_acts.stubs)[1:] == first[1:]
        assert [code for code in codes.values() if any(code.hex() in text for text in first)] == []


def at(address: bytes, item: Routed, body: bytes) -> Passing:
    """Send a call to another address."""
    return [(change(item, route=address), body)]


@pytest.fixture
def middle(tmp_path: Path) -> Iterator[Middle]:
    """Give a ring with the test in its middle."""
    with Middle(tmp_path) as made:
        yield made


def test_the_address_of_a_handler_changes_with_every_call(middle: Middle) -> None:
    """A6: a hundred calls of one handler arrive at a hundred places, in the next ring at others."""
    seen: list[bytes] = []
    for _ in range(2):
        for number in range(50):
            middle.hand.result("probe.mark", str(number))
        seen = [item.route for item, _ in middle.passed(Kind.CALL, BROKER, "probe")]
        middle.fall()
        middle.form()
    assert (len(seen), len(set(seen)), {len(each) * 8 for each in seen}) == (100, 100, {128})


def test_the_seeds_of_the_addresses_are_new_in_every_ring(middle: Middle) -> None:
    """A5, A4: 256 random bits for each handler, published to the broker only."""
    middle.fall()
    middle.form()
    published = [(each.receiver, each.item) for each in middle.seen if isinstance(each.item, Publish)]
    seeds = [handler.seed for _, item in published for handler in getattr(item, "handlers", ())]
    assert [receiver for receiver, _ in published] == [BROKER, BROKER]
    assert {len(each) * 8 for each in seeds} == {256}
    assert len(set(seeds)) == len(seeds) > 20


def test_a_recorded_address_reaches_nothing(middle: Middle) -> None:
    """A6, A7: each address of the past, with a true and new call for that very handler."""
    for number in range(5):
        middle.hand.result("probe.mark", str(number))
    used = [item.route for item, _ in middle.passed(Kind.CALL, BROKER, "probe")]
    for address in used:
        middle.play = Hook(Kind.CALL, "probe", partial(at, address))
        assert middle.hand.call("probe.mark", "again").outcome() == "Refused"
        assert middle.ran() == ["0", "1", "2", "3", "4"]


def test_the_full_trace_of_the_last_run_executes_nothing(tmp_path: Path) -> None:
    """A7: addresses, UIDs, codes, bodies and packets of one application, in another: 0 handlers run."""
    (tmp_path / "old").mkdir()
    with Middle(tmp_path / "old") as old:
        for number in range(5):
            old.hand.result("probe.mark", f"old {number}")
        trace = [*old.passed(Kind.CALL, BROKER, "probe"), *old.passed(Kind.CALL, "puppet", BROKER)]
        packets = [old.member("probe").record, old.member("puppet").record]
        codes = old.hand.act(hostile_acts.codes)
    (tmp_path / "new").mkdir()
    with Middle(tmp_path / "new") as new:
        for item, body in trace:
            new.inject("probe", item, body)
            new.inject("probe", change(item, route=new.routing._callers[MemberId("probe"), "probe.mark"].next()), body)
        for packet in packets:
            new.send_packet("probe", packet)
        assert new.hand.result("probe.echo", b"alive") == b"alive"
        assert new.ran() == []
        assert set(codes.values()).isdisjoint(new.hand.act(hostile_acts.codes).values())


def test_the_old_uids_and_codes_of_another_run_execute_nothing(tmp_path: Path) -> None:
    """A7, A22: in the hands of the new run's own UI, under its own keys."""
    with perform() as old:
        uids = old.act(hostile_acts.lease, handler="probe.mark")
        codes = old.act(hostile_acts.codes)
    journal = tmp_path / "journal"
    with perform(journal=str(journal)) as new:
        for uid in uids[:8]:
            new.act(hostile_acts.call_under, promise="x", handler="probe.mark", uid=uid, arguments=["old"])
        fresh = new.act(hostile_acts.take, handler="probe.mark")
        new.act(
            hostile_acts.call_with_code,
            promise="y",
            handler="probe.mark",
            uid=fresh,
            code=codes["probe.mark"],
            word="x",
        )
        assert new.result("probe.echo", b"alive") == b"alive"
        assert [each for each in journal.read_text("utf-8").splitlines() if each != "start"] == []
        assert new.act(acts.epoch) == 1
