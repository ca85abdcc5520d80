"""Attacks from inside: each is alive on an unlocked process, and none but the known ones works under the lock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from tests.attack import measured
from trollbridge.messages.sandbox import NOTHING, Sandbox
from trollbridge.ui_adapter.attack import inside
from trollbridge.ui_adapter.attack.attempt import Layers
from trollbridge.ui_adapter.attack.catalogue import Outcome, Position
from trollbridge.ui_adapter.attack.needs import Need
from trollbridge.ui_adapter.attack.verdict import attack

if TYPE_CHECKING:
    from trollbridge.ui_adapter.attack.attempt import Attempt
    from trollbridge.ui_adapter.attack.catalogue import Result

CONDITIONAL: Final = {each.name for each in inside.INSIDE if Need.BUILD in each.needs}
"""Attacks on what not every kernel is built with."""
FOR_ROOT: Final = {each.name for each in inside.INSIDE if Need.ROOT in each.needs}
HARMLESS: Final = {"S5.stat", "S5.stat-no-follow", "S1.hard-link-planted"}


def _working(user: str, layers: Layers) -> set[str]:
    return set(measured.row(measured.inside(user), Position.INSIDE, layers).working)


def _only(*names: str) -> list[Attempt]:
    return [each for each in inside.INSIDE if each.name in names]


def _outcomes(results: list[Result]) -> dict[str, Outcome]:
    return {each.attack.name: each.outcome for each in results}


def test_there_are_at_least_a_hundred_and_eleven_attacks_and_each_has_a_name_of_its_own() -> None:
    """The floor of the issue."""
    names = [each.name for each in inside.INSIDE]
    assert len(names) == len(set(names)) >= 111
    assert len({each.title for each in inside.INSIDE}) > 111
    assert [each.name for each in inside.ATTACKS] == [each.replace(".", ".inside.", 1) for each in names]


def test_each_row_is_one_of_the_catalogue() -> None:
    """Scopes, processes, identity: the rows that the kernel has to keep."""
    assert {each.name.partition(".")[0] for each in inside.INSIDE} == {"I1", "I9", "K3", "S1", "S2", "S5", "S6"}


@pytest.mark.parametrize("user", measured.USERS)
def test_every_attack_works_on_an_unlocked_process(user: str) -> None:
    """S1, S2, K3: an attack that cannot succeed would prove nothing. Only what this kernel lacks may fail."""
    found = measured.row(measured.inside(user), Position.INSIDE, Layers.NONE)
    assert set(found.stopped) <= CONDITIONAL
    assert len(found.working) >= 111
    assert FOR_ROOT.isdisjoint(found.not_tried) == (user == "root")


@pytest.mark.parametrize("user", measured.USERS)
def test_under_the_lock_only_the_harmless_ones_work(user: str) -> None:
    """A3, S1, S2, K3: at most three of them still work, each by name."""
    assert _working(user, Layers.ALL) == HARMLESS
    assert set(inside.KNOWN) == HARMLESS


def test_no_layer_alone_does_what_all_do() -> None:
    """A3: Landlock and seccomp each stop what the other lets through."""
    user = measured.USERS[0]
    unlocked, everything = _working(user, Layers.NONE), _working(user, Layers.ALL)
    landlock, seccomp = _working(user, Layers.LANDLOCK), _working(user, Layers.SECCOMP)
    assert everything <= landlock & seccomp
    assert landlock - seccomp >= {"S5.netlink-route", "S6.map-code", "K3.own-filter"}
    assert seccomp - landlock >= {"S5.open", "S5.create", "S5.names"}
    assert len(everything) < len(seccomp) < len(landlock) < len(unlocked)


def test_a_process_that_declares_nothing_cannot_even_look_at_files() -> None:
    """S5: an empty sandbox leaves none of the attacks that work on an enclave with files."""
    found = inside.run(NOTHING, only=[attack(each, Position.INSIDE) for each in _only(*HARMLESS)])
    assert _outcomes(found) == {each.replace(".", ".inside.", 1): Outcome.STOPPED for each in HARMLESS}


def test_what_a_sandbox_declares_is_no_attack() -> None:
    """A user's own declaration: TCP is no attack then, everything beside it still is."""
    only = [attack(each, Position.INSIDE) for each in _only("S5.tcp", "S5.udp", "I1.thread", "S5.open", "I1.fork")]
    found = inside.run(Sandbox(network=("tcp",), threads=True), only=only)
    assert _outcomes(found) == {
        "S5.inside.tcp": Outcome.NOT_TRIED,
        "S5.inside.udp": Outcome.STOPPED,
        "I1.inside.thread": Outcome.NOT_TRIED,
        "S5.inside.open": Outcome.STOPPED,
        "I1.inside.fork": Outcome.STOPPED,
    }


def test_the_results_say_what_happened() -> None:
    """An attacker gets an errno or is killed; what works is named with its reason."""
    only = [attack(each, Position.INSIDE) for each in _only("S5.open", "K3.kill", "S5.io-uring", "S5.stat")]
    found = {each.attack.name: each for each in inside.run(vault=True, only=only)}
    assert found["S5.inside.open"].happened == "EACCES"
    assert found["S5.inside.stat"].outcome is Outcome.HARMLESS
    assert found["S5.inside.stat"].happened == inside.KNOWN["S5.stat"]
    assert {each.outcome for each in found.values()} <= {Outcome.STOPPED, Outcome.HARMLESS, Outcome.NOT_TRIED}
