"""A body with one bit changed, in either direction, between a real UI and a real enclave: refused, and that is all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from tests.harness.puppeteer import Told, perform
from tests.processes import ring_acts

if TYPE_CHECKING:
    from pathlib import Path

POSITIONS: Final = [0, 15, 16, 40, 100, 127, -16, -1]
"""Salt, length, content, padding and tag of the smallest body."""


def test_a_call_with_a_flipped_bit_is_refused_and_not_run(tmp_path: Path) -> None:
    """A46, F4, R12: wherever the bit is, the caller gets one opaque refusal, the log a line; an honest call runs."""
    journal = tmp_path / "journal"
    with perform(journal=str(journal)) as puppet:
        puppet.act(ring_acts.spoil_calls, positions=POSITIONS)
        for number in range(len(POSITIONS)):
            with pytest.raises(Told) as told:
                puppet.result("probe.mark", f"altered{number}")
            assert (told.value.kind, told.value.text) == (
                "Refused",
                "The call was refused; the reason is in the supervisor's log.",
            )
        assert puppet.result("probe.mark", "honest") == 1
        assert puppet.leave() == 0
        refused = [line.why for line in puppet.lines("envelope.refused", member="probe")]
        refused += [line.why for line in puppet.lines("envelope.refused", member="puppet")]
        assert refused.count("AuthenticationFailed") == len(POSITIONS)
    assert journal.read_text().split() == ["start", "honest"]


def test_a_reply_with_a_flipped_bit_resolves_no_promise() -> None:
    """A46, F8: an altered reply is dropped: its promise is pending still; the next call gets its own reply."""
    with perform() as puppet:
        assert puppet.result("probe.echo", b"before") == b"before"
        puppet.act(ring_acts.spoil_replies, positions=[0, -1])
        promises = [puppet.call("probe.echo", word) for word in (b"one", b"two")]
        for promise in promises:
            with pytest.raises(Told) as told:
                promise.get(0.1)
            assert told.value.kind == "Timeout"
        assert puppet.result("probe.echo", b"after") == b"after"
        assert [promise.done for promise in promises] == [False, False]
