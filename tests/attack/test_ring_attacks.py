"""The shipped suite's ring half on a real application: every attack is live, is tried, and is stopped."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import pytest

from tests.attack.commands import Document, attack, document
from trollbridge.ui_adapter.attack import ring, ring_outsider
from trollbridge.ui_adapter.attack.catalogue import Position

if TYPE_CHECKING:
    from pathlib import Path

ROOT: Final = os.geteuid() == 0
NAMES: Final = [each.name for each in ring.ATTACKS]
ONLY: Final = [f"--only={name}" for name in NAMES]
FOR_ORDINARY_USERS: Final = {each.attack.name for each in ring_outsider.ROWS} - {"I9.command-lines"}
CATALOGUE: Final = {
    *(f"F{number}" for number in range(1, 10)), *(f"R{number}" for number in (1, 2, 3, 4, 5, 11)),
    *(f"I{number}" for number in (1, 2, 3, 4, 5, 6, 8, 9)), *(f"P{number}" for number in range(1, 7)),
    "K3", "K4", "K6", "A10", "A22", "A41", "A49", "A59",
}  # fmt: skip
"""The rows of the catalogue that the ring half replays."""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Document:
    """Try everything once."""
    ended = attack(tmp_path_factory.mktemp("plain"), "declared:plain", "--json", *ONLY)
    assert ended.said == []
    return document(ended)


def test_nothing_gets_through_and_nothing_is_left_open(report: Document) -> None:
    """A49, A3: as an extension, as a hostile UI, as another process; each attack is tried to its end."""
    assert (report.through(), report.broken, report.passed) == ([], [], True)
    assert [each.name for each in report.results] == NAMES


def test_only_what_root_may_do_anyway_is_not_tried(report: Document) -> None:
    """K3, I9: an ordinary user is refused by the kernel; for root nothing can be tried, and the report says so."""
    left_out = {each.name: each.happened for each in report.results if each.outcome == "not tried"}
    assert set(left_out) == (FOR_ORDINARY_USERS if ROOT else set())
    assert all("root" in each for each in left_out.values())


def test_honest_calls_work_before_and_after(report: Document) -> None:
    """The positive half: what is refused is the attack and not the caller (A14)."""
    assert report.honest == [{"name": "A12.before", "works": True}, {"name": "A12.after", "works": True}]


def test_what_happened_was_seen(report: Document) -> None:
    """Each result tells the fate, the line of the log, and how often the target was executed."""
    seen = {each.name: each.happened for each in report.results}
    assert seen["F1.used-uid"] == "Refused; uid.refused: never issued, used or void; 1 executed"
    assert seen["F2.recorded-run"] == "record.refused: AuthenticationFailed ×5; 0 executed"
    assert seen["A41.sealed"] == "AuthenticationFailed ×2; the core UI opens it; 0 executed"
    assert seen["K4.deadly-call"].startswith("RingDismantled, unknown ×2; not sent again ×2; Quarantined")
    assert seen["I1.fork"].startswith("no fork: PermissionError")


def test_the_rows_cover_the_catalogue_in_three_positions(report: Document) -> None:
    """Every row that makes sense at run time is there; the others are named with their reason (see test_suite)."""
    assert {each.row for each in report.results} == CATALOGUE
    assert {each.position for each in report.results} == {
        Position.EXTENSION.value, Position.HOSTILE_UI.value, Position.OUTSIDER.value,
    }  # fmt: skip


def test_names_are_unique_and_in_the_form_of_the_catalogue() -> None:
    """A result is found again by its name."""
    assert len(set(NAMES)) == len(NAMES)
    assert all("." in name and name.partition(".")[2] for name in NAMES)


def test_a_confined_ui_cannot_even_fork(tmp_path: Path) -> None:
    """I1: with a sandbox of its own, the hostile UI is refused by the kernel where an unconfined one is not heard."""
    ended = attack(tmp_path, "declared:confined", "--json", "--only=I1", "--only=F1.used-uid")
    found = {each.name: each.happened for each in document(ended).results}
    assert (ended.code, ended.said) == (0, [])
    assert found["I1.fork-of-the-ui"].startswith("no fork: PermissionError")
    assert found["I1.program"].startswith("PermissionError")
    assert found["F1.used-uid"].startswith("Refused")
