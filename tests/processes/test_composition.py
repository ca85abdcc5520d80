"""One application of many parts: several enclaves, extensions, in-process pykka actors, threads, asyncio."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.harness import wire
from tests.harness.puppeteer import Backstage, Told, perform
from tests.harness.running import Running

if TYPE_CHECKING:
    from pathlib import Path

MIXED = "tests.processes.mixed_consoles:mixed"


def test_two_enclaves_an_actor_and_both_kinds_of_futures_mix() -> None:
    """A57: `get_all`, `map`, `filter`, `join`, over promises of two enclaves and futures of a pykka actor."""
    with Running(MIXED, {"console": "Mixed"}) as running:
        assert running.finish() == 0
        [line] = running.output.items
        assert wire.decode(line) == {
            "all": [b"l", "PYKKA", b"r", b"through"],
            "map": 3,
            "filter": ["A", "B"],
            "join": [b"x", b"y", "Z"],
            "list": [b"1", b"2"],
            "passed on": b"on",
            "two processes": True,
            "names": ["left", "right"],
        }
        assert {line.member for line in running.lines("process.started")} == {"broker", "console", "left", "right"}


def test_threads_get_each_their_own_replies() -> None:
    """A57, A14: eight threads on one client; whoever waits reads for all, and no reply goes astray."""
    with Running(MIXED, {"console": "Threaded"}) as running:
        assert running.finish() == 0
        assert [wire.decode(line) for line in running.output.items] == [{"wrong": [], "threads": 8}]


def test_promises_are_awaited_and_the_loop_stays_free() -> None:
    """A57: 300 at once in asyncio, an error, a time-out, a pykka actor beside them; the exit code is the UI's own."""
    with Running(MIXED, {"console": "Awaiting"}) as running:
        assert running.finish() == 3
        [line] = running.output.items
        assert wire.decode(line) == {
            "one": b"1",
            "together": [str(number).encode() for number in range(300)],
            "from an actor": b"after",
            "error": "HandlerFailed",
            "time-out": "TimeoutError",
            "the loop was free": True,
        }


def test_a_call_is_granted_to_one_caller_and_one_enclave(tmp_path: Path) -> None:
    """A57, A22: with two enclaves and an extension, each grant opens exactly one handler to one caller."""
    with (
        Backstage(tmp_path) as back,
        perform(
            enclaves=["left", "right"],
            extensions={"extra": back.path},
            grants=["left.echo"],
            extension_grants=["right.echo"],
        ) as puppet,
    ):
        extra = back.next_hand()
        assert puppet.result("left.echo", b"mine") == b"mine"
        assert extra.result("right.echo", b"its own") == b"its own"
        for hand, handler, kind in ((puppet, "right.echo", "NotGranted"), (extra, "left.echo", "NoSuchHandler")):
            with pytest.raises(Told) as told:
                hand.result(handler, b"the other's")
            assert told.value.kind == kind


def test_one_enclave_falls_and_both_rise_in_the_next_ring() -> None:
    """A57, A50: the ring falls whole; both enclaves are new processes in epoch 2, and the UI keeps its own."""
    with perform(enclaves=("left", "right")) as puppet:
        old = {member: puppet.pid(member) for member in ("left", "right", "broker", "puppet")}
        puppet.kill("left")
        puppet.await_epoch(2)
        new = {member: puppet.pid(member) for member in old}
        assert {member for member in old if old[member] != new[member]} == {"left", "right", "broker"}
        assert [puppet.result(f"{name}.pid") for name in ("left", "right")] == [new["left"], new["right"]]
