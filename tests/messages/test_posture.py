"""The one rule by which evidence becomes a level."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trollbridge.messages.ids import Role
from trollbridge.messages.posture import (
    NEEDED,
    WALLS,
    Evidence,
    Level,
    Mechanism,
    Posture,
    State,
    level_of,
    lowest,
)

ALL = dict.fromkeys(Mechanism, State.IN_FORCE)


def evidence(states: dict[Mechanism, State]) -> tuple[Evidence, ...]:
    """Return evidence of these states."""
    return tuple(Evidence(mechanism, state, "seen") for mechanism, state in states.items())


def test_full_is_everything_that_is_needed() -> None:
    """Whether memory is secret and imports are sealed is reported, and decides nothing."""
    assert level_of(evidence(ALL)) is Level.FULL
    assert level_of(evidence(dict.fromkeys(NEEDED, State.IN_FORCE))) is Level.FULL
    assert Mechanism.SECRET_MEMORY not in NEEDED


@pytest.mark.parametrize("mechanism", sorted(NEEDED))
@pytest.mark.parametrize("state", [State.MISSING, State.WEAKER])
def test_one_that_is_missing_or_weaker_is_not_full(mechanism: Mechanism, state: State) -> None:
    """A12: nothing that is needed can be silently off."""
    assert level_of(evidence(ALL | {mechanism: state})) is Level.PARTIAL
    without = {each: found for each, found in ALL.items() if each is not mechanism}
    assert level_of(evidence(without)) is Level.PARTIAL


def test_what_could_make_no_difference_is_not_missed() -> None:
    """As root, nobody but root could look in."""
    assert level_of(evidence(ALL | {Mechanism.EXECUTE_ONLY: State.NOT_NEEDED})) is Level.FULL


def test_without_a_wall_a_process_is_a_process_only() -> None:
    """Neither Landlock nor seccomp: an address space and no more."""
    assert level_of(evidence(ALL | dict.fromkeys(WALLS, State.MISSING))) is Level.PROCESS_ONLY
    assert level_of(()) is Level.PROCESS_ONLY


@given(st.dictionaries(st.sampled_from(Mechanism), st.sampled_from(State)))
def test_more_evidence_never_lowers_a_level(states: dict[Mechanism, State]) -> None:
    """The rule is monotonous: one mechanism more in force never makes it worse."""
    before = level_of(evidence(states)).rank
    for mechanism in Mechanism:
        assert level_of(evidence(states | {mechanism: State.IN_FORCE})).rank >= before


def test_a_posture_names_what_it_lacks() -> None:
    """What keeps it from `full`, and nothing that does not."""
    states = ALL | {Mechanism.SECCOMP: State.WEAKER, Mechanism.SECRET_MEMORY: State.MISSING}
    posture = Posture("vault", "enclave", 7, Level.PARTIAL, evidence(states))
    assert [each.mechanism for each in posture.lacking] == [Mechanism.SECCOMP]


def kept(role: str, level: Level) -> Posture:
    """Return the posture of one process."""
    return Posture(role, role, 7, level, ())


def test_a_posture_is_printed_in_one_line() -> None:
    """Alone, and among others: what is missing, with evidence or without, then what is there in a lesser form."""
    assert str(Posture("vault", "enclave", 7, Level.FULL, evidence(ALL))) == "vault: full"
    states = ALL | {Mechanism.SECCOMP: State.WEAKER, Mechanism.SECRET_MEMORY: State.MISSING}
    states[Mechanism.NO_CORE] = State.MISSING
    del states[Mechanism.LANDLOCK]
    posture = Posture("vault", "enclave", 7, Level.PARTIAL, evidence(states))
    assert str(posture) == "vault: partial; missing: no core file, Landlock; weaker: seccomp"
    assert str((posture,)) == f"(<Posture of {posture}>,)"


def test_an_application_is_kept_as_well_as_its_worst_process() -> None:
    """The supervisor, which starts the others, and a UI, which need not be confined, do not count unless asked for."""
    postures = [
        kept("supervisor", Level.PROCESS_ONLY),
        kept("ui", Level.PROCESS_ONLY),
        *(kept(role, Level.FULL) for role in ("broker", "enclave", "extension")),
    ]
    assert lowest(postures) is Level.FULL
    assert lowest([*postures, kept("enclave", Level.PARTIAL)]) is Level.PARTIAL
    assert lowest(postures, (Role.UI, Role.ENCLAVE)) is Level.PROCESS_ONLY
    assert lowest([*postures, kept("extension", Level.PARTIAL)], ["enclave"]) is Level.FULL


def test_what_was_not_seen_is_not_kept() -> None:
    """Nobody is told that an application is kept of which there is no process to be seen (A12)."""
    assert lowest(()) is Level.PROCESS_ONLY
    assert lowest([kept("ui", Level.FULL)]) is Level.PROCESS_ONLY
