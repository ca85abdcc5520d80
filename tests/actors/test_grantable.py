"""A handler as whoever declares an application has it: a plain function at run time, with grants to be had of it.

The type checkers read this file too: what they must refuse is marked, and a mark that nothing needs is an error.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from typing import TYPE_CHECKING

import pytest

from trollbridge.actors import App, Child, Grant
from trollbridge.actors.handlers import exported, handler
from trollbridge.messages.errors import DeclarationError
from trollbridge.messages.grants import AnyOf, Between, Condition, Equals, Longest, Matching, OneOf

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = f"{__name__}:Notary"


class Notary:
    """Signs."""

    @handler
    def sign(self, document: bytes, key: str = "test") -> str:
        """Tell what was signed with what."""
        return f"{key}:{len(document)}"

    @handler(idempotent=True, core=True)
    def count(self, number: int) -> int:
        """Give it back."""
        return number

    @handler
    def lines(self, text: str) -> Iterator[str]:
        """Yield them."""
        yield from text.splitlines()

    def twice(self, document: bytes) -> list[str]:
        """Call a handler as the method that it is."""
        found: str = self.sign(document, key="a")
        number: int = self.count(2)
        return [found] * number


class Younger(Notary):
    """Does it in another way."""

    @handler
    def sign(self, document: bytes, key: str = "test") -> str:
        """Call the older one."""
        return f"younger {super().sign(document, key)}"


def wrong(notary: Notary) -> None:
    """Be refused by every type checker, in each line."""
    notary.sign("text")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    notary.count(number="1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    number: int = notary.sign(b"")  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    notary.sign.where(number=number)  # type: ignore[attr-defined]  # pyright: ignore[reportFunctionMemberAccess]
    Notary.sign.at_most("1", seconds=number)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def test_a_handler_is_a_plain_function_and_keeps_its_types() -> None:
    """Calls inside the class and of its parents work as ever."""
    notary = Notary()
    plain: object = Notary.sign
    assert inspect.isfunction(plain)
    assert notary.twice(b"abc") == ["a:3"] * 2
    assert Younger().sign(b"abc") == "younger test:3"
    assert list(notary.lines("a\nb")) == ["a", "b"]
    assert Notary.sign(notary, b"") == "test:0"
    assert {name: each.mark.core for name, each in exported(Notary).items()} == {
        "sign": False,
        "count": True,
        "lines": False,
    }


def test_grants_are_had_of_a_handler() -> None:
    """The words of the documentation."""
    grant: Grant = Notary.sign.where(key="release")
    assert grant == Grant(f"{HERE}.sign", (Condition("key", Equals(b"\xa7release")),))
    assert Notary.sign.at_most(2, seconds=60) == Grant(f"{HERE}.sign", most=2, seconds=60)
    assert Notary.count.approved() == Grant(f"{HERE}.count", approval=True)
    whole = Notary.sign.where(document=Longest(9), key=OneOf("a", Matching("b+"))).at_most(1, seconds=2).approved()
    assert [type(each.test) for each in whole.conditions] == [Longest, AnyOf]


@pytest.mark.parametrize(
    ("attempt", "said"),
    [
        (lambda: Notary.sign.where(kye="a"), "the argument kye of .*whose parameters are: document, key"),
        (lambda: Notary.sign.where(key=1), "to what is no str"),
        (lambda: Notary.sign.where(document=Matching("a")), "to what is no bytes"),
        (lambda: Notary.count.where(number=Between(1, 2), it=3), "the argument it of"),
        (lambda: Notary.sign.at_most(0, seconds=1), "at_most takes at least one call"),
    ],
)
def test_a_condition_that_does_not_fit_is_told_where_it_is_written(attempt: Callable[[], Grant], said: str) -> None:
    """S4: before there is any application."""
    with pytest.raises(DeclarationError, match=said):
        attempt()


def test_an_application_takes_them_by_reference() -> None:
    """A18: beside names and plain references; the same grant twice is one, and each has its number."""
    app = App(
        ui="a:Console",
        enclaves=[Child(HERE, name="notary")],
        extensions=["a:Plugin"],
        grants={
            "plugin": [
                Notary.sign.where(key="a"),
                Notary.sign,
                "notary.sign",
                Grant("notary.lines").approved(),
                Notary.sign.where(key="a"),
            ]
        },
    )
    key = Condition("key", Equals(b"\xa1a"))
    assert app.grants["plugin"] == (  # type: ignore[index]  # pyright: ignore[reportArgumentType]
        Grant("notary.sign", (key,), rule=1),
        Grant("notary.sign", rule=2),
        Grant("notary.lines", approval=True, rule=3),
    )
    assert app.granted(app.ui.member) == frozenset()
    assert {each.handler for each in app.allowed(app.ui.member)} == {
        "notary.call_approvals",
        "notary.approve_call",
        "notary.refuse_call",
    }
    assert app.allowed(app.extensions[0].member) == app.grants[app.extensions[0].member]


def test_handlers_of_the_module_that_runs_are_found_by_its_true_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A57: `python -m app` calls that module `__main__`; its children import it as `app`."""
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", ModuleSpec("the.app", None))
    monkeypatch.setattr(Notary, "__module__", "__main__")
    for each in (vars(Notary)["lines"], "__main__:Notary.lines", Grant("__main__:Notary.lines")):
        monkeypatch.setattr(vars(Notary)["lines"], "__module__", "__main__")
        app = App(ui="a:U", enclaves=[Notary], grants={"u": [each]})
        assert app.grants[app.ui.member] == (Grant("notary.lines", rule=1),)


@pytest.mark.parametrize("grant", [Notary.sign.approved(), Notary.sign.at_most(1, seconds=1)])
def test_what_one_process_must_count_is_granted_of_no_replicas(grant: Grant) -> None:
    """K2, S4: two processes would let twice as much pass."""
    for replicas, plain in ((2, Notary.sign), (1, grant), (2, Notary.sign.where(key="a"))):
        App(ui="a:U", enclaves=[Child(HERE, replicas=replicas)], grants={"u": [plain]})
    with pytest.raises(DeclarationError, match="so no replicas of notary"):
        App(ui="a:U", enclaves=[Child(HERE, replicas=2)], grants={"u": [grant]})


@pytest.mark.parametrize("grant", [Notary.sign.approved(), Notary.sign.at_most(1, seconds=1)])
def test_what_one_process_must_count_is_granted_to_no_replicas(grant: Grant) -> None:
    """K2, S4: each replica of a caller would have its own rate, and its own approvals."""
    for replicas, given in ((2, Notary.sign), (1, grant)):
        App(ui="a:U", enclaves=[HERE], hosts=[Child("a:Clerk", replicas=replicas)], grants={"clerk": [given]})
    with pytest.raises(DeclarationError, match="so no replicas of clerk"):
        App(ui="a:U", enclaves=[HERE], hosts=[Child("a:Clerk", replicas=2)], grants={"clerk": [grant]})


@pytest.mark.parametrize("name", ["approvals", "approve", "refuse"])
def test_nobody_has_the_name_of_what_a_bridge_offers(name: str) -> None:
    """Such an enclave could not be reached."""
    with pytest.raises(DeclarationError, match=f"the name {name} is taken"):
        App(ui="a:U", enclaves=[Child("a:B", name=name)])
