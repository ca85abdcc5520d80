"""A short soak: the same program as `make soak`, with calls and falls that a test run can afford."""

from __future__ import annotations

import os

import pytest

from tests.harness.running import Running
from tests.soak.documents import MOST, carry, check_bounded
from tests.soak.soaking import APPLICATION, Held, Soak, Soaked, check_stable, soak

CALLS, FALLS = 2_000, 5
MEBIBYTES = 64


def test_rings_fall_and_form_again_under_the_lock_and_every_call_is_answered() -> None:
    """A45, A50, A59, S2: new keys and SIGKILL by turns; the calls of each ring are answered, nobody dies of SIGSYS."""
    told: list[str] = []
    soaked = soak(CALLS, FALLS, told.append)
    assert (soaked.calls, soaked.rekeyed, soaked.killed) == (CALLS, 2, 3)
    assert soaked.levels == {"full"}
    assert told
    for name, held in soaked.held.items():
        assert len(held) == FALLS + 1
        seen = {each.descriptors is not None for each in held}
        assert seen == {os.geteuid() == 0}, f"{name}: without root, a non-dumpable process does not show them"


def test_an_enclave_that_somebody_else_kills_is_noticed() -> None:
    """The soak's own judgement: only the deaths that it has caused are allowed."""
    with Running(APPLICATION) as running:
        one = Soak(running)
        one.next_ring()
        running.kill("keeper")
        with pytest.raises(AssertionError, match="SIGKILL"):
            one.next_ring()


@pytest.mark.parametrize(
    "held",
    [
        [Held(10, 1000), Held(11, 1000)],
        [Held(10, 1000)] * 11 + [Held(10, 1_000_000)],
    ],
)
def test_what_grows_is_noticed(held: list[Held]) -> None:
    """One descriptor more is a leak, and so is memory that goes on growing once caches are warm."""
    check_stable(Soaked(held={"supervisor": [Held(10, 1000)] * 12}))
    with pytest.raises(AssertionError):
        check_stable(Soaked(held={"supervisor": held}))


def test_a_document_passes_through_the_vault_and_back_in_bounded_memory() -> None:
    """A31 (streamed), A45: each byte is compared, the signature is checked, nothing is stored anywhere."""
    told: list[str] = []
    carried = carry(MEBIBYTES, told.append)
    assert (carried.mebibytes, told) == (MEBIBYTES, [])
    assert carried.seconds > 0


def test_a_process_that_takes_too_much_is_noticed() -> None:
    """The judgement of the document soak itself."""
    peaks: dict[str, int] = dict.fromkeys(("troll-ui", "troll-broker", "troll-enclave", "troll-errand"), MOST)
    check_bounded(peaks)
    with pytest.raises(AssertionError, match="troll-enclave"):
        check_bounded({**peaks, "troll-enclave": MOST + 1})
