"""The kernel half of the suite, with the sandboxes that the application's enclaves declare.

May import: the catalogue, the attacks on the kernel's isolation, the doctor's reading of declarations. Invariant: of
several enclaves the worst result counts for each attack, and says whose it is if they differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from trollbridge.messages.ids import Role
from trollbridge.messages.sandbox import NOTHING, Sandbox
from trollbridge.ui_adapter.attack import inside, outside
from trollbridge.ui_adapter.attack.catalogue import Attack, Outcome, Result
from trollbridge.ui_adapter.doctor_scopes import scopes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from trollbridge.actors.app import App

    Show = Callable[[Result], object]

ATTACKS: Final[tuple[Attack, ...]] = (*inside.ATTACKS, *outside.ATTACKS)
_WORST_FIRST: Final = (Outcome.THROUGH, Outcome.HARMLESS, Outcome.STOPPED, Outcome.NOT_TRIED)
ENOUGH: Final = 20
"""Attacks of which some can be tried on every machine: if none was, the runner has failed."""


class Tried(NamedTuple):
    """What came of the attacks, and which half could not be brought to its end."""

    results: tuple[Result, ...]
    broken: tuple[str, ...]


def sandboxes(app: App) -> dict[Sandbox, str]:
    """Return the distinct sandboxes of the application's enclaves, resolved, each with the names of its enclaves.

    Raises `DeclarationError`.
    """
    found: dict[Sandbox, list[str]] = {}
    for each in scopes(app):
        if each.role == Role.ENCLAVE:
            sandbox = Sandbox(
                read=each.read, write=each.write, exec=each.exec, network=each.network, threads=each.threads
            )
            found.setdefault(sandbox, []).append(each.member)
    return {sandbox: ", ".join(names) for sandbox, names in found.items()} or {NOTHING: ""}


def run(app: App, attacks: Sequence[Attack], show: Show) -> Tried:
    """Try some of `ATTACKS` on processes that are kept as the application's enclaves are; `show` gets each result."""
    from_inside = [each for each in attacks if each in inside.ATTACKS]
    from_outside = [each for each in attacks if each in outside.ATTACKS]
    if not from_inside and not from_outside:
        return Tried((), ())
    rounds: dict[str, list[Result]] = {}
    for sandbox, names in sandboxes(app).items():
        made = rounds.setdefault(names, [])
        made += inside.run(sandbox, only=from_inside) if from_inside else []
        made += outside.run(sandbox, only=from_outside) if from_outside else []
    results = tuple(_merged(each, rounds) for each in (*from_inside, *from_outside))
    for result in results:
        show(result)
    halves = (("from inside", from_inside), ("from outside", from_outside))
    return Tried(results, tuple(name for name, chosen in halves if _failed(chosen, results)))


def _merged(attack: Attack, rounds: dict[str, list[Result]]) -> Result:
    """Return the worst result of one attack; if the enclaves' results differ, with the names of its own."""
    found = [(names, each) for names, made in rounds.items() for each in made if each.attack == attack]
    names, worst = min(found, key=lambda each: _WORST_FIRST.index(each[1].outcome))
    if all(each == worst for _, each in found):
        return worst
    return msgspec.structs.replace(worst, happened=f"{names}: {worst.happened}")


def _failed(chosen: Sequence[Attack], results: Sequence[Result]) -> bool:
    wanted = set(chosen)
    outcomes = {each.outcome for each in results if each.attack in wanted}
    return len(chosen) >= ENOUGH and outcomes == {Outcome.NOT_TRIED}
