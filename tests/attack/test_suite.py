"""The suite itself: it finds what is broken, and touches nothing of the application's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from tests.attack.commands import attack, document
from trollbridge.actors.app import App, Child
from trollbridge.messages.sandbox import Sandbox
from trollbridge.ui_adapter.attack import ring_cast, suite, suite_kernel
from trollbridge.ui_adapter.attack.catalogue import Attack, Outcome, Position, Result
from trollbridge.ui_adapter.attack.ring_outsider import ACTS

if TYPE_CHECKING:
    from pathlib import Path

USED: Final = ("F1.used-uid", "F6.race")
GRANTS: Final = ("A49.withheld", "A49.not-granted", "A49.accomplice", "P5.names")
BEHIND: Final = ("F1.same-packet", "F3.other-uid", "A41.sealed")


def result(outcome: Outcome) -> Result:
    """Return a result with an outcome."""
    return Result(Attack("F1.x", Position.EXTENSION, "try", "refused"), outcome, "seen")


def report(*outcomes: Outcome, honest: Outcome = Outcome.STOPPED, broken: tuple[str, ...] = ()) -> suite.Report:
    """Return a report of results with these outcomes."""
    return suite.Report("m:app", 1.0, tuple(map(result, outcomes)), (result(honest),), broken, ())


# A weak application is found (A3).


@pytest.mark.parametrize(
    ("weakness", "through"),
    [("none", ()), ("used-uids", USED), ("grants", GRANTS), ("silence", ("F1.used-uid", "A49.withheld"))],
)
def test_a_broken_rule_of_the_broker_gets_through(weakness: str, through: tuple[str, ...], tmp_path: Path) -> None:
    """A3: the suite is live: with one rule less it fails and names what it found; else the same is stopped."""
    only = [f"--only={name}" for name in through or (*USED, *GRANTS)]
    ended = attack(tmp_path, "weakened:app", "--json", *only, more={"NAME": weakness})
    found = document(ended)
    assert ended.code == (1 if through else 0), ended
    assert set(found.through()) == set(through)
    assert found.passed is not bool(through)


def test_behind_a_broker_that_honours_used_uids_the_session_still_refuses(tmp_path: Path) -> None:
    """A3: with the single use of UIDs removed, sealing, sequences and the ring key still stop these."""
    only = [f"--only={name}" for name in BEHIND]
    ended = attack(tmp_path, "weakened:app", "--json", *only, more={"NAME": "used-uids"})
    assert (ended.code, document(ended).through()) == (0, [])


# Nothing of the user's is touched.


def test_a_vault_and_the_temporary_place_stay_as_they_were(tmp_path: Path) -> None:
    """A59: the user's enclaves run with their settings, and none of their handlers is called; nothing is left."""
    place, folder = tmp_path / "place", tmp_path / "vaults"
    for each in (place, folder):
        each.mkdir()
    only = ("--only=F1.used-uid", "--only=F3.other-enclave", "--only=A49", "--only=K6", "--only=A59")
    more = {"VAULT": str(folder / "the.vault"), "TMPDIR": str(place)}
    ended = attack(tmp_path, "declared:with_vault", "--json", *only, more=more)
    assert (ended.code, ended.said, document(ended).broken) == (0, [], [])
    assert list(place.iterdir()) == []
    assert not any(each.stat().st_size for each in folder.iterdir())


def test_the_copy_keeps_what_the_user_declares() -> None:
    """Names, settings, sandboxes and grants; the declaration itself is not changed."""
    sandbox = Sandbox(read=("/etc/hostname",))
    app = App(
        ui=Child("a:Ui", name="ui", settings={"path": "/x"}, sandbox=sandbox),
        enclaves=[Child("a:Vault", name="vault"), Child("a:Odd", name="attack_target")],
        extensions=[Child("a:One", name="one", sandbox=sandbox), Child("a:Two", name="two")],
        grants={"ui": ["vault.open"], "one": ["vault.look"], "two": ["vault.open"]},
    )
    copied = ring_cast.cast(app)
    assert (app.ui.actor.module, len(app.enclaves), len(app.extensions), app.ui.settings) == (
        "a",
        2,
        2,
        (("path", "/x"),),
    )
    assert (copied.ui, copied.extension, copied.target) == ("ui", "one", "attack_target_2")
    assert copied.enclaves == ("vault", "attack_target")
    assert dict(copied.app.ui.settings)["path"] == "/x"
    assert copied.app.ui.sandbox == copied.app.extensions[0].sandbox == sandbox
    own = {
        member: {each for each in copied.app.granted(member) if not each.startswith("attack_target_2.")}
        for member in copied.app.grants
    }
    assert {member: granted for member, granted in own.items() if granted} == {
        "ui": {"vault.open"},
        "one": {"vault.look"},
        "two": {"vault.open"},
    }
    assert ring_cast.alone(copied).app.enclaves == copied.app.enclaves[-1:]
    assert not any(
        "vault" in each.handler for granted in ring_cast.alone(copied).app.grants.values() for each in granted
    )


# What counts as passed.


def test_a_report_passes_only_if_nothing_is_open() -> None:
    """Harmless and untried attacks are reported and pass; one that got through, or was not finished, does not."""
    assert report(Outcome.STOPPED, Outcome.HARMLESS, Outcome.NOT_TRIED).passed
    assert not report(Outcome.STOPPED, Outcome.THROUGH).passed
    assert not report(Outcome.STOPPED, broken=("F1.x",)).passed
    assert not report(Outcome.STOPPED, honest=Outcome.THROUGH).passed


def test_of_several_enclaves_the_worst_result_counts_and_is_named_if_they_differ() -> None:
    """A12: one that is kept less well is not hidden behind the others; what all share is said once."""
    stopped, through = result(Outcome.STOPPED), result(Outcome.THROUGH)
    merged = suite_kernel._merged  # pyright: ignore[reportPrivateUsage]  # else two sandboxes would have to be attacked
    assert merged(stopped.attack, {"vault": [stopped], "notary": [stopped]}) == stopped
    worst = merged(stopped.attack, {"vault": [stopped], "notary": [through]})
    assert (worst.outcome, worst.happened) == (Outcome.THROUGH, "notary: seen")


def test_the_choice_is_by_position_and_by_prefix() -> None:
    """Both must fit, the prefix in capitals or not; without either, everything is wanted."""
    every = suite.attacks()
    assert suite.Choice().of(every) == every
    chosen = suite.Choice(frozenset({Position.EXTENSION}), ("f1", "P")).of(every)
    assert {each.position for each in chosen} == {Position.EXTENSION}
    assert {each.name.split(".")[0] for each in chosen} == {"F1", "P1", "P2", "P3", "P4", "P5", "P6"}
    assert set(suite.POSITIONS.values()) == set(Position)


def test_each_row_of_the_catalogue_is_tried_or_has_a_reason() -> None:
    """F, R, I, P, S and K: none is passed over in silence."""
    rows = {each.name.partition(".")[0] for each in suite.attacks()} | set(suite.UNTRIED)
    wanted = {"F": 9, "R": 12, "I": 9, "P": 6, "S": 6, "K": 7}
    assert {f"{letter}{number}" for letter, last in wanted.items() for number in range(1, last + 1)} <= rows


def test_names_are_unique_over_both_halves() -> None:
    """A name stands for one attack in one position."""
    names = [each.name for each in suite.attacks()]
    assert len(set(names)) == len(names)


def test_the_acts_of_the_outsider_only_look() -> None:
    """What is done to the processes of a running application is this list, and no more."""
    assert sorted(ACTS) == [
        "compare", "descriptors", "environment", "folder", "map", "memory", "read", "seize", "take", "vector",
    ]  # fmt: skip
