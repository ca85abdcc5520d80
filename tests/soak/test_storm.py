"""A short storm: the same program as `make soak`, with the accidents that a test run can afford, and its judgement."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, Final

import pytest

from tests.soak.storm import ACCIDENTS, rage, season
from tests.soak.storm_truth import Truth

if TYPE_CHECKING:
    from pathlib import Path

SHORT: Final = ("full disk", "SIGKILL of porter", "new keys")
PACE: Final = 0.003


def test_after_each_accident_every_call_has_its_end_and_nothing_is_left_over() -> None:
    """A45, A50, A55, A58, A59, K6: the enclave dies as the log's disk is full, then a host, then keys are changed."""
    told: list[str] = []
    weather = rage(SHORT, told.append, PACE)
    assert weather.accidents == Counter(SHORT)
    assert len(told) == len(SHORT)
    assert weather.ends["answered"] > 100
    assert {end.partition(":")[0] for end in weather.ends} <= {"answered", "done", "unknown", "not-started"}
    assert weather.small_disk == (os.geteuid() == 0)


def test_a_season_has_every_kind_of_accident_in_an_order_that_its_seed_decides() -> None:
    """So that `make soak` misses none, and a failure can be had again."""
    kinds = len(ACCIDENTS)
    assert set(season(kinds, 1)) == set(ACCIDENTS)
    assert Counter(season(3 * kinds, 1)) == dict.fromkeys(ACCIDENTS, 3)
    assert season(kinds, 1) == season(kinds, 1) != season(kinds, 2)


@pytest.mark.parametrize(
    ("report", "noted", "made", "complaint"),
    [
        ("c-0 keeper.note answered 0.1\n", [], 1, "and it was not"),
        ("c-0 keeper.note done:RingDismantled 0.1\n", [], 1, "and it was not"),
        ("c-0 keeper.note not-started:RingDismantled 0.1\n", ["c-0"], 1, "and it was"),
        ("c-0 keeper.note answered 0.1\n", ["c-0", "c-0"], 1, "executed 2 times"),
        ("c-1 porter.note unknown:ServerLost 0.1\n", ["c-1", "c-1"], 1, "executed 2 times"),
        ("c-2 keeper.repeat answered 0.1\n", ["c-2"] * 3, 1, "executed 3 times"),
        ("c-0 keeper.note hanging 0.1\n", [], 1, "hanging"),
        ("c-0 keeper.note answered 20.1\n", ["c-0"], 1, "20.1"),
        ("c-0 keeper.note answered 0.1\n", ["c-0"], 2, "lost silently: 1"),
        ("c-0 keeper.note answered 0.1\n", ["c-0", "x1-2", "x1-2"], 1, "executed too often"),
    ],
)
def test_what_is_not_so_is_noticed(report: str, noted: list[str], made: int, complaint: str, tmp_path: Path) -> None:
    """The storm's own judgement: told and noted must agree, for each outcome, in both directions."""
    for name, words in (("keeper", noted), ("porter", [])):
        tmp_path.joinpath(f"{name}.journal").write_text("".join(f"{word}\n" for word in words), encoding="utf-8")
    tmp_path.joinpath("report").write_text(report, encoding="utf-8")
    with pytest.raises(AssertionError, match=complaint):
        Truth(tmp_path).check("c", made)


def test_what_is_so_passes(tmp_path: Path) -> None:
    """An outcome that is unknown may be either; an idempotent call may have run twice; half a line is not read yet."""
    lines = ("c-0 keeper.note answered 0.1", "c-1 porter.note unknown:RingDismantled 9", "c-2 keeper.repeat answered 1")
    tmp_path.joinpath("report").write_text("".join(f"{line}\n" for line in lines) + "c-3 kee", encoding="utf-8")
    tmp_path.joinpath("keeper.journal").write_text("c-0\nc-2\nc-2\n", encoding="utf-8")
    tmp_path.joinpath("porter.journal").write_text("x1-0\nx1-", encoding="utf-8")
    truth = Truth(tmp_path)
    truth.check("c", 3)
    assert truth.ends == {"answered": 2, "unknown:RingDismantled": 1}
    assert truth.slowest == 9
