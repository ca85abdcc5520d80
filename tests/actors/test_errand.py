"""The table of errands: every kind has its terms, and what runs follows from the table alone."""

from __future__ import annotations

import re
from typing import Final

import msgspec
import pytest

from trollbridge.actors.entry.errand import TERMS
from trollbridge.actors.process_actor import ProcessActor, check_errands
from trollbridge.messages import control
from trollbridge.messages.control import ErrandKind
from trollbridge.messages.errors import DeclarationError

MODULE: Final = re.compile(r"trollbridge\.enclave\.[a-z]+")


def test_every_kind_has_its_terms() -> None:
    """P5: a module that ships, for each; and what it may take of the environment opens no window."""
    assert set(TERMS) == set(ErrandKind)
    assert all(MODULE.fullmatch(each.module) for each in TERMS.values())
    assert len({each.module for each in TERMS.values()}) == len(TERMS)
    taken = {name for each in TERMS.values() for name in each.environment}
    assert taken == {"DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR", "HOME"}
    assert TERMS[ErrandKind.KEYCHAIN].seconds == 60.0


def test_no_message_names_code() -> None:
    """P5: a kind is one of a closed list; no text of another can be said."""
    assert [each.name for each in msgspec.structs.fields(control.Errand)] == ["kind"]
    assert msgspec.structs.fields(control.Errand)[0].type in (ErrandKind, "ErrandKind")
    assert not any(MODULE.search(each.value) for each in ErrandKind)


@pytest.mark.parametrize("declared", [frozenset[ErrandKind](), frozenset({ErrandKind.SCRIBE}), frozenset(ErrandKind)])
def test_errands_are_declared_as_a_set_of_kinds(declared: frozenset[ErrandKind]) -> None:
    """R7: by default none."""
    assert ProcessActor.errands == frozenset()
    check_errands("a.b:Right", declared)


@pytest.mark.parametrize(
    "declared", [None, {ErrandKind.SCRIBE}, (ErrandKind.SCRIBE,), frozenset({"anything"}), "scribe"]
)
def test_what_is_no_such_set_is_told(declared: object) -> None:
    """R7: when the enclave starts."""
    with pytest.raises(DeclarationError, match=r"^a.b:Wrong: its errands are a frozenset of ErrandKind$"):
        check_errands("a.b:Wrong", declared)
