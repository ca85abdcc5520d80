"""The manifest: marked methods, typed in full, fixed when the class is loaded."""

from __future__ import annotations

from collections.abc import Generator  # noqa: TC003  # a handler's annotations are read at run time
from typing import TYPE_CHECKING, Any

import pytest

from tests.actors.keeper import Keeper, Note
from trollbridge.actors.handlers import DEFAULT_MAX_BYTES, LARGEST_MAX_BYTES, WrongType, exported, handler
from trollbridge.actors.process_actor import ProcessActor
from trollbridge.messages.codec import encode
from trollbridge.messages.errors import DeclarationError, Malformed
from trollbridge.messages.payloads import HandlerEntry, Parameter
from trollbridge.messages.signature import Field, OneOf, Scalar, SequenceOf, StructOf

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

NOTE = StructOf("Note", (Field("text", Scalar("str")), Field("number", OneOf((Scalar("int"), Scalar("none"))))))


def actor(function: Callable[..., object], name: str = "f") -> type:
    """Return a class whose one method is `function`, marked."""
    return type("Actor", (), {name: handler(function)})


def test_a_class_exports_what_it_marks_and_nothing_else() -> None:
    """A17, A26: not its other methods, not what it inherits from `object`."""
    assert set(exported(Keeper)) == {"echo", "add", "secret", "note", "refuse", "small"}


def test_a_line_of_the_manifest_says_all_of_a_handler() -> None:
    """A17: parameters, defaults, result and marks."""
    found = exported(Keeper)
    assert found["add"].entry(b"c" * 16) == HandlerEntry(
        "add", b"c" * 16, (Parameter("one", Scalar("int"), None), Parameter("other", Scalar("int"), b"\x01")),
        Scalar("int"), sensitive=False, idempotent=False, max_bytes=DEFAULT_MAX_BYTES,
    )  # fmt: skip
    assert found["note"].entry(b"c" * 16) == HandlerEntry(
        "note", b"c" * 16, (Parameter("note", NOTE, None),), SequenceOf(NOTE),
        sensitive=False, idempotent=False, max_bytes=DEFAULT_MAX_BYTES,
    )  # fmt: skip
    assert (found["secret"].mark.sensitive, found["small"].mark.max_bytes) == (True, 64)


def test_nothing_can_be_added_to_a_manifest() -> None:
    """A17: not to the table, not to a line of it; a mark set on an instance is not looked at."""
    found = exported(Keeper)
    with pytest.raises(TypeError):
        found["more"] = found["echo"]  # type: ignore[index]
    with pytest.raises(AttributeError):
        found["echo"].name = "more"  # type: ignore[misc]
    keeper = Keeper()
    vars(keeper)["unmarked"] = handler(lambda _: "now marked")
    assert set(exported(type(keeper))) == set(found)


def test_a_subclass_exports_what_it_inherits_and_what_it_overrides_marked() -> None:
    """A17: an override without a mark is not exported."""

    class Silent(Keeper):
        def echo(self, data: bytes) -> bytes:  # pyright: ignore[reportIncompatibleVariableOverride]  # it has no grants
            return data

        @handler
        def more(self) -> None:
            """Be one more."""

    assert set(exported(Silent)) == {"add", "secret", "note", "refuse", "small", "more"}


@pytest.mark.parametrize("max_bytes", [0, -1, LARGEST_MAX_BYTES + 1, "1", True])
def test_a_limit_out_of_range_is_refused(max_bytes: Any) -> None:  # noqa: ANN401  # what a person may try
    """P3: every handler has one."""
    with pytest.raises(DeclarationError) as refusal:
        handler(max_bytes=max_bytes)
    assert str(refusal.value) == f"max_bytes={max_bytes!r} is not between 1 and {LARGEST_MAX_BYTES}"


@pytest.mark.parametrize("given", ["x", 3, ["sensitive"]])
def test_a_mark_on_what_is_no_method_is_refused(given: object) -> None:
    """A10: what is forgotten mostly is the name of an argument."""
    mark: Callable[[object], object] = handler  # type: ignore[assignment]  # what a person may try
    with pytest.raises(DeclarationError, match=r"@handler goes on a method.*write @handler, or @handler\(sensitive"):
        mark(given)


class Wrong:
    """Methods that cannot be exported, and why not."""

    def no_result(self, a: int):  # type: ignore[no-untyped-def]  # noqa: ANN201
        """Actor.f: annotate return."""
        return a

    def no_parameter(self, a) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
        """Actor.f: annotate a."""
        del a

    def reserved(self, __a__: int) -> int:
        """Actor.f: rename __a__."""
        return __a__

    def star(self, *a: int) -> int:
        """Actor.f: parameter a must be positional-or-keyword."""
        return sum(a)

    def stars(self, **a: int) -> int:
        """Actor.f: parameter a must be positional-or-keyword."""
        return len(a)

    def by_name(self, *, a: int) -> int:
        """Actor.f: parameter a must be positional-or-keyword."""
        return a

    def by_place(self, a: int, /) -> int:
        """Actor.f: parameter a must be positional-or-keyword."""
        return a

    def unknown_name(self, a: Decimal) -> None:
        """Actor.f: 'Decimal' in its annotations is not known at run time; import it outside TYPE_CHECKING."""
        del a

    def a_function(self, a: Callable[[], None]) -> None:
        """Actor.f: 'Callable' in its annotations is not known at run time; import it outside TYPE_CHECKING."""
        del a

    def anything(self, a: Any) -> None:  # noqa: ANN401
        """Actor.f: typing.Any cannot be sent."""
        del a

    def a_list(self) -> list[int]:
        """Actor.f: list[int] cannot be sent."""
        return []

    def two_sequences(self) -> tuple[int, ...] | tuple[str, ...]:
        """Actor.f: Type unions may not contain more than one array-like."""
        return (1,)

    def two_in(self, a: tuple[int, ...] | tuple[str, ...]) -> None:
        """Actor.f: Type unions may not contain more than one array-like."""
        del a

    def wrong_default(self, a: int = None) -> None:  # type: ignore[assignment]  # noqa: RUF013
        """Actor.f: the default of parameter a is not of its type."""
        del a

    async def coroutine(self, a: int) -> int:
        """Actor.f: a handler is no coroutine: write def."""
        return a

    def never_yields(self, a: int) -> Generator[int, None, int]:
        """Actor.f: it never yields; yield what it promises, or write -> Iterator[T] where it returns one."""
        raise NotImplementedError(a)

    def odd_default(self, a: int = object()) -> None:  # type: ignore[assignment]
        """Actor.f: the default of parameter a is not of its type."""
        del a


WRONG = {name: each for name, each in vars(Wrong).items() if not name.startswith("_")}


@pytest.mark.parametrize("function", WRONG.values(), ids=WRONG)
def test_a_handler_that_cannot_be_exported_is_refused_with_its_name(function: Callable[..., object]) -> None:
    """A10, A17: when the class is loaded, not when it is called; its docstring here says how the sentence begins."""
    with pytest.raises(DeclarationError) as refusal:
        exported(actor(function))
    assert (function.__doc__ or "").removesuffix(".") in str(refusal.value)


@pytest.mark.parametrize(
    "name", ["on_receive", "on_start", "peers", "clients", "caller", "wake", "actor_ref", "start", "stop", "vocabulary"]
)
def test_a_handler_of_a_name_that_every_actor_has_is_refused(name: str) -> None:
    """A10: it would take the place of what the library calls."""
    named = type("Actor", (ProcessActor,), {name: vars(Keeper)["refuse"]})
    with pytest.raises(DeclarationError, match=f"Actor.{name}: every actor has {name}, which means something else"):
        exported(named)
    assert set(exported(type("Actor", (ProcessActor,), {"ask": vars(Keeper)["refuse"]}))) == {"ask"}


@pytest.mark.parametrize("value", ["canary", 1])
def test_what_is_told_of_a_wrong_result_holds_no_value(value: object) -> None:
    """I6: which handler, where it is defined, and that its annotation says something else."""
    echo = exported(Keeper)["echo"]
    with pytest.raises(WrongType) as raised:
        echo.encode_result(value)
    assert raised.value.why == "the result of echo is not what its annotation says"
    assert raised.value.where == f"keeper.py:{Keeper.echo.__code__.co_firstlineno}"  # type: ignore[attr-defined]
    assert "canary" not in repr(raised.value)


class Patient:
    """Has a default that Python takes for a float."""

    @handler
    def wait(self, seconds: float = 1) -> float:
        """Return what came."""
        return seconds


def test_a_whole_number_is_a_default_of_a_float() -> None:
    """A17: it travels as the float that it stands for."""
    assert exported(Patient)["wait"].parameters == (Parameter("seconds", Scalar("float"), encode(1.0)),)


@pytest.mark.parametrize("name", ["_hidden", "__init__", "a" * 65, "é"])
def test_a_method_of_an_odd_name_is_refused(name: str) -> None:
    """I4: what begins with an underscore is nobody's to call, marked or not."""
    with pytest.raises(DeclarationError):
        exported(actor(vars(Keeper)["refuse"], name))


def test_a_mark_on_what_is_no_plain_method_is_refused() -> None:
    """A17: nothing but a plain method is called through the manifest; wrapped after its mark, it is not exported."""
    plain = vars(Keeper)["unmarked"]
    mark: Callable[[object], object] = handler  # type: ignore[assignment]  # what a person may try
    for wrapped in (mark(staticmethod(plain)), mark(classmethod(plain))):
        with pytest.raises(DeclarationError) as refusal:
            exported(type("Actor", (), {"f": wrapped}))
        assert str(refusal.value) == "Actor.f: @handler goes on a plain method, inside other decorators"
    marked = vars(Keeper)["refuse"]
    assert dict(exported(type("Actor", (), {"f": property(marked), "g": staticmethod(marked)}))) == {}


@pytest.mark.parametrize("value", ["text", 1, None, [b"x"], object(), "aGk="])
def test_a_result_of_another_type_is_not_sent(value: object) -> None:
    """A10: what a handler returns is held to its annotation."""
    with pytest.raises(WrongType):
        exported(Keeper)["echo"].encode_result(value)


@pytest.mark.parametrize("value", [b"hi", bytearray(b"hi"), memoryview(b"hi")])
def test_octets_in_any_buffer_are_sent_as_octets(value: object) -> None:
    """A17: a handler may return what it has."""
    assert exported(Keeper)["echo"].encode_result(value) == b"\xc4\x02hi"


def test_arguments_decode_to_the_declared_types_or_not_at_all() -> None:
    """A10, P4: record types too."""
    arguments = exported(Keeper)["note"].arguments
    assert arguments.decode(b"\x91\x92\xa1a\xc0") == (Note("a", None),)
    for wrong in (b"\x91\x92\xa1a", b"\x91\x93\xa1a\xc0\xc0", b"\x91\xa1a", b"\x92\x92\xa1a\xc0\xc0"):
        with pytest.raises(Malformed):
            arguments.decode(wrong)
