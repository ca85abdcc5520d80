"""Declarations: whole or refused, before anything starts, with a sentence that says what to change."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from tests.actors.keeper import Keeper
from trollbridge.actors.app import App, Child
from trollbridge.actors.reference import ActorRef
from trollbridge.actors.supervision.intensity import Intensity
from trollbridge.messages.errors import DeclarationError
from trollbridge.messages.grants import Grant
from trollbridge.messages.ids import Role

KEEPER = "tests.actors.keeper:Keeper"


class Outer:
    """Holds a class that no process could import."""

    class Inner:
        """Not at the top of its module."""


@pytest.mark.parametrize("text", ["a:B", "a.b.c:D", "_a:_B"])
def test_a_reference_is_module_colon_class(text: str) -> None:
    """A57: as it is written, so it is shown."""
    assert str(ActorRef.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        ":",
        "a:",
        ":B",
        "a:B:C",
        "a.:B",
        ".a:B",
        "a b:C",
        "a:B.C",
        "a/b:C",
        "a:B()",
        "os.system('x'):B",
        "a\n:B",
    ],
)
def test_a_reference_to_anything_else_is_refused(text: str) -> None:
    """P5: no expression, no path, nothing that an import could trip over."""
    with pytest.raises(DeclarationError) as refusal:
        ActorRef.parse(text)
    assert str(refusal.value) == f"{text!r} does not name an actor; write package.module:Class"


def test_a_class_and_its_name_declare_the_same() -> None:
    """A57: its name in lower case is the member's, unless another is given."""
    by_class, by_name = Child(Keeper), Child(KEEPER, name="other", settings={"b": "2", "a": "1"})
    assert (str(by_class.actor), by_class.member, by_class.settings) == (KEEPER, "keeper", ())
    assert (str(by_name.actor), by_name.member, by_name.settings) == (KEEPER, "other", (("a", "1"), ("b", "2")))


def test_a_class_that_no_process_could_import_is_refused() -> None:
    """A57: inside another class, inside a function, in a script."""

    class Local:
        pass

    for actor in (Outer.Inner, Local):
        with pytest.raises(DeclarationError) as refusal:
            Child(actor)
        assert "is not at the top of its module" in str(refusal.value)


def test_a_class_of_a_script_is_refused_with_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A57: `python app.py` gives its classes no module that another process could import."""
    monkeypatch.setattr(Keeper, "__module__", "__main__")
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None)
    with pytest.raises(DeclarationError) as refusal:
        Child(Keeper)
    assert str(refusal.value).startswith("Keeper is defined in a script; put it into a module")


@pytest.mark.parametrize("settings", [{"a": 1}, {"a": None}, {1: "a"}, {"a": b"x"}])
def test_settings_are_strings(settings: dict[Any, Any]) -> None:
    """A10: nothing else crosses."""
    with pytest.raises(DeclarationError) as refusal:
        Child(KEEPER, settings=settings)
    assert str(refusal.value) == "keeper: settings are strings"


def test_children_start_in_the_order_of_their_trust() -> None:
    """A33: enclaves, the UI, extensions."""
    app = App(ui="a:U", enclaves=["a:V", "a:W"], extensions=["a:X"])
    assert [(child.member, role) for child, role in app.children] == [
        ("v", Role.ENCLAVE), ("w", Role.ENCLAVE), ("u", Role.UI), ("x", Role.EXTENSION),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("ui", "enclaves", "extensions", "name"),
    [
        ("a:U", ["b:U"], [], "u"),
        ("a:U", ["a:V", "a:V"], [], "v"),
        ("a:U", [], ["a:U"], "u"),
        ("a:U", ["a:Broker"], [], "broker"),
        ("a:Broker", [], [], "broker"),
    ],
)
def test_a_name_is_taken_once(ui: str, enclaves: list[str], extensions: list[str], name: str) -> None:
    """I4: the broker's is taken."""
    with pytest.raises(DeclarationError) as refusal:
        App(ui=ui, enclaves=enclaves, extensions=extensions)
    assert str(refusal.value) == f"the name {name} is taken; give each actor its own with Child(…, name=…)"


def test_the_supervisors_name_is_taken_too() -> None:
    """I4: log lines of a member must not read as the supervisor's own."""
    with pytest.raises(DeclarationError):
        App(ui=Child("a:U", name="supervisor"))


def test_nothing_is_granted_by_default() -> None:
    """A18: to nobody."""
    app = App(ui="a:U", enclaves=["a:V"], extensions=["a:X"])
    assert app.grants == {"u": (), "v": (), "x": ()}
    assert app.intensity == Intensity()


def test_grants_name_callers_and_handlers_by_name_or_by_class() -> None:
    """A26: all spellings of one grant are one grant."""
    child = Child(Keeper, name="vault")
    grants: list[dict[Any, Any]] = [
        {"u": ["vault.echo"]},
        {"a:U": [f"{KEEPER}.echo"]},
        {"u": [Keeper.echo]},
        {"u": ["vault.echo", Keeper.echo], "a:U": ["vault.echo"]},
    ]
    assert [App(ui="a:U", enclaves=[child], grants=each).grants for each in grants] == [
        {"vault": (), "u": (Grant("vault.echo", rule=1),)}
    ] * 4


@pytest.mark.parametrize(
    ("grants", "text"),
    [
        ({"x": ["vault.echo"]}, "grants name the caller x, but there are u, vault"),
        ({"vault": ["vault.echo"]}, "grants let vault → vault wait for each other; take one of these grants away"),
        ({"U": ["vault.echo"]}, "grants name the caller U, but there are u, vault"),
        ({"a:X": ["vault.echo"]}, "grants name the caller a:X, but there are u, vault"),
        ({"u": ["other.echo"]}, "grants name the handler other.echo, but its owner is none of vault"),
        ({"u": ["echo"]}, "grants name the handler echo, but its owner is none of vault"),
        ({"u": ["vault."]}, "grants name vault., but each handler is granted by its name: there are no wildcards"),
        ({"u": ["vault.*"]}, "grants name vault.*, but each handler is granted by its name: there are no wildcards"),
        (
            {"u": ["vault.a b"]},
            "grants name vault.a b, but each handler is granted by its name: there are no wildcards",
        ),
        ({"u": ["u.main"]}, "grants name the handler u.main, but its owner is none of vault"),
        ({"u": [len]}, "grants name the handler len, but its owner is none of vault"),
    ],
)
def test_a_grant_that_names_nobody_is_refused(grants: dict[Any, Any], text: str) -> None:
    """A26: a typing error must not silently deny or allow; there are no patterns."""
    with pytest.raises(DeclarationError) as refusal:
        App(ui="a:U", enclaves=[Child("a:V", name="vault")], grants=grants)
    assert str(refusal.value) == text
