"""Who waits for whom: one that sends much waits for itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.extensions import offender_acts
from tests.harness.gate import Gate
from tests.harness.puppeteer import Backstage, perform
from trollbridge.actors.broker.uids import CREDIT_OF_EXTENSIONS

if TYPE_CHECKING:
    from pathlib import Path

SOON: Final = 4
"""Calls of another that may run before one's own: those of one turn, and what is under way."""


def test_one_call_of_the_core_does_not_wait_for_a_pile_of_an_extension_s(tmp_path: Path) -> None:
    """A56, F7: sent behind 64 others while the enclave was busy, it runs among the first; the pile is done after all.

    Half of the pile waits with the extension: it gets so much credit and no more.
    """
    journal, words = tmp_path / "journal", [f"pile {number}" for number in range(2 * CREDIT_OF_EXTENSIONS)]
    with (
        Gate(tmp_path) as gate,
        Backstage(tmp_path) as back,
        perform(
            enclaves=("probe", "other"),
            extensions={"extra": back.path},
            extension_grants=("probe.mark", "other.echo"),
            journal=str(journal),
        ) as puppet,
    ):
        extra = back.next_hand()
        assert extra.result("probe.mark", "first") == 1
        held = puppet.send("probe.hold", gate.path)
        gate.await_one()
        extra.act(offender_acts.pile, handler="probe.mark", words=words)
        assert extra.result("other.echo", b"") == b""  # what went before this on its link has left the broker too
        core = puppet.send("probe.mark", "core")
        assert puppet.result("other.echo", b"") == b""
        gate.open("go")
        assert (held.get(), core.get() <= SOON + 2) == ("go", True)
        assert extra.result("probe.mark", "last") == len(words) + 3
        ran = journal.read_text("utf-8").split("\n")
        assert ran.index("core") - ran.index("first") <= SOON
        assert [each for each in ran if each.startswith("pile")] == words
        assert puppet.leave() == 0
