"""Attacks by another process of the same user: each is alive on an unlocked victim; the lock leaves the named ones."""

from __future__ import annotations

from typing import Final

from tests.attack import measured
from trollbridge.ui_adapter.attack import outside
from trollbridge.ui_adapter.attack.attempt import Layers
from trollbridge.ui_adapter.attack.catalogue import Outcome, Position
from trollbridge.ui_adapter.attack.needs import Need

OUTSIDER: Final = Position.OUTSIDER
EXTENSION: Final = Position.EXTENSION
FOR_ROOT: Final = {each.name for each in outside.OUTSIDE if Need.ROOT in each.needs}
CONDITIONAL: Final = {each.name for each in outside.OUTSIDE if Need.BUILD in each.needs}
EARLY: Final = {"K3.early-mem", "K3.early-maps", "K3.early-trace"}
SECRETS: Final = {
    *("K3.ptrace-attach", "K3.ptrace-seize", "K3.ptrace-peek", "K3.ptrace-poke", "K3.vm-read", "K3.vm-write"),
    *("K3.mem-read", "K3.mem-write", "K3.fd-link", "K3.pidfd-getfd", "K3.speak-for-it"),
    *("K3.proc-environ", "K3.proc-maps", "K3.proc-fd", "K3.proc-cwd-link"),
}
"""What would give a secret away, or let somebody speak in an enclave's name."""


def _working(position: Position, layers: Layers) -> set[str]:
    return set(measured.row(measured.outside(), position, layers).working)


def test_there_are_at_least_forty_attacks_and_each_has_a_name_of_its_own() -> None:
    """The floor of the issue."""
    names = [each.name for each in outside.OUTSIDE]
    assert len(names) == len(set(names)) >= 40
    assert len({each.name for each in outside.ATTACKS}) == 2 * len(names)


def test_every_attack_works_on_an_unlocked_victim() -> None:
    """K3: only what is for root, which is out of scope, and what this kernel lacks may fail."""
    found = measured.row(measured.outside(), OUTSIDER, Layers.NONE)
    assert set(found.stopped) <= CONDITIONAL
    assert set(found.not_tried) >= FOR_ROOT
    assert len(found.working) >= 40
    assert set(found.working) >= SECRETS | EARLY


def test_an_unconfined_process_can_do_to_a_locked_victim_what_is_known_and_no_more() -> None:
    """K3, I9: it stops, kills and slows; it sees what /proc shows of everybody; the vault's files are the user's."""
    found = measured.row(measured.outside(), OUTSIDER, Layers.ALL)
    assert set(found.working) == set(outside.KNOWN) - set(found.not_tried)
    assert SECRETS.isdisjoint(outside.KNOWN)


def test_an_extension_can_do_nothing_to_any_process() -> None:
    """A49, K3: not to a locked victim, and not even to one without any lock."""
    assert _working(EXTENSION, Layers.ALL) == set()
    assert _working(EXTENSION, Layers.NON_DUMPABLE) == set()
    assert _working(EXTENSION, Layers.NONE) == set()


def test_only_an_execute_only_start_closes_the_moment_before_the_lock() -> None:
    """A5, K3: a victim that locks itself fully was open until then, if its interpreter may be read."""
    assert _working(OUTSIDER, Layers.NON_DUMPABLE) >= EARLY
    assert _working(OUTSIDER, Layers.ALL).isdisjoint(EARLY)


def test_being_non_dumpable_is_what_keeps_memory_from_others_of_the_user() -> None:
    """A3: without the rest of the lock too, nothing that gives a secret away works."""
    assert _working(OUTSIDER, Layers.NON_DUMPABLE).isdisjoint(SECRETS)


def test_the_results_name_the_position_and_the_reason() -> None:
    """One attack is judged in both positions: known and harmless as an outsider, stopped as an extension."""
    only = [each for each in outside.ATTACKS if each.name.endswith((".kill", ".mem-read"))]
    found = {each.attack.name: (each.attack.position, each.outcome) for each in outside.run(only=only)}
    assert found == {
        "K3.outsider.kill": (OUTSIDER, Outcome.HARMLESS),
        "K3.extension.kill": (EXTENSION, Outcome.STOPPED),
        "K3.outsider.mem-read": (OUTSIDER, Outcome.STOPPED),
        "K3.extension.mem-read": (EXTENSION, Outcome.STOPPED),
    }
