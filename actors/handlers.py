"""`@handler`: what an actor exports, and the manifest made of it when its class is loaded.

May import: `msgspec`, our messages. Invariant: the table of handlers is a function of the class; nothing can be added
to it at run time.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Generator
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar, cast, overload

import msgspec

from trollbridge.actors.processes.places import defined
from trollbridge.actors.serving.grantable import offer
from trollbridge.actors.serving.streaming import KNOWN, stream_types
from trollbridge.messages.codec import BUILTIN, Codec, encode
from trollbridge.messages.errors import DeclarationError
from trollbridge.messages.ids import HANDLER
from trollbridge.messages.limits import LARGEST_MAX_BYTES as LARGEST_MAX_BYTES  # noqa: PLC0414  # re-exported
from trollbridge.messages.payloads import HandlerEntry, Parameter
from trollbridge.messages.signature import TypeSpec, describe, is_name, tuple_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Concatenate

    from trollbridge.actors.serving.grantable import Handler, Marker
    from trollbridge.messages.grants import Grant

P = ParamSpec("P")
R = TypeVar("R")
DEFAULT_MAX_BYTES: Final = 1 << 20
_MARK: Final = "__trollbridge_handler__"
_BASE: Final = "trollbridge.actors.process_actor"
"""Where the class is that every process actor derives from."""


class Mark(msgspec.Struct, frozen=True):
    """What `@handler` was given."""

    sensitive: bool
    idempotent: bool
    max_bytes: int
    core: bool


@overload
def handler(function: Callable[Concatenate[Any, P], R], /) -> Handler[P, R]: ...
@overload
def handler(
    *, sensitive: bool = False, idempotent: bool = False, max_bytes: int = DEFAULT_MAX_BYTES, core: bool = False
) -> Marker: ...
def handler(
    function: Callable[Concatenate[Any, P], R] | None = None,
    /,
    *,
    sensitive: bool = False,
    idempotent: bool = False,
    max_bytes: int = DEFAULT_MAX_BYTES,
    core: bool = False,
) -> Handler[P, R] | Marker:
    """Export a method of a process actor; nothing else of it can be called from another process.

    `sensitive`: the result is sealed to the core UI, whoever asked. `idempotent`: the call may be sent again in the
    next epoch. `max_bytes`: the most that the encoded arguments, and the encoded result or item, may take. `core`: only
    the core UI may be granted it. The method gets `where`, `at_most` and `approved`, which make grants of it. Raises
    `DeclarationError` out of range.
    """
    if type(max_bytes) is not int or not 0 < max_bytes <= LARGEST_MAX_BYTES:
        msg = f"max_bytes={max_bytes!r} is not between 1 and {LARGEST_MAX_BYTES}"
        raise DeclarationError(msg)
    given: object = function
    if given is not None and not callable(given) and not hasattr(given, "__func__"):
        msg = f"@handler goes on a method, not on {given!r}; write @handler, or @handler(sensitive=True)"
        raise DeclarationError(msg)
    mark = Mark(sensitive, idempotent, max_bytes, core)

    def set_mark(target: Callable[Concatenate[Any, P], R], /) -> Handler[P, R]:
        setattr(target, _MARK, mark)
        offer(target, lambda grant: _check(grant, target))
        return cast("Handler[P, R]", target)

    return cast("Marker", set_mark) if function is None else set_mark(function)


def _check(grant: Grant, function: Callable[..., object]) -> None:
    """Raise `DeclarationError` for a grant that does not fit the function; the process that serves it checks again."""
    from trollbridge.actors.serving.granting import check_conditions  # noqa: PLC0415  # only who declares an application needs it

    try:
        hints = typing.get_type_hints(function)
    except NameError:
        return
    found = [each for each in list(inspect.signature(function).parameters.items())[1:] if each[0] in hints]
    check_conditions(grant, tuple(_parameter(name, each, hints[name]) for name, each in found))


class WrongType(ValueError):
    """What a handler has given is not what its annotation says; nothing in here tells the value."""

    def __init__(self, what: str, name: str, where: str) -> None:
        """Take what it gave, its name, and where it is defined."""
        super().__init__(what, name)
        self.why: Final = f"the {what} of {name} is not what its annotation says"
        self.where: Final = where


_UNFIT: Final = (msgspec.MsgspecError, TypeError, ValueError, OverflowError, RecursionError)


class Exported(msgspec.Struct, frozen=True):
    """One handler of a class, ready to decode calls and to encode results."""

    name: str
    parameters: tuple[Parameter, ...]
    result: TypeSpec
    mark: Mark
    arguments: Codec[tuple[object, ...]]
    result_type: object
    item: TypeSpec | None = None
    """Of a stream, what it yields."""
    item_type: object = None
    where: str = ""
    """The file and the line that define it."""

    def entry(self, code: bytes) -> HandlerEntry:
        """Return the line that one client sees in one session."""
        mark = self.mark
        return HandlerEntry(
            self.name, code, self.parameters, self.result, mark.sensitive, mark.idempotent, mark.max_bytes, self.item
        )

    def encode_result(self, value: object) -> bytes:
        """Return the encoded result; raises `WrongType` if it is not of the declared type."""
        return self._encoded("result", value, self.result_type)

    def encode_item(self, value: object) -> bytes:
        """Return an encoded item of a stream; raises `WrongType` if it is not of the declared type."""
        return self._encoded("item", value, self.item_type)

    def _encoded(self, what: str, value: object, kind: object) -> bytes:
        try:
            return encode(msgspec.convert(value, kind, builtin_types=BUILTIN))
        except _UNFIT:
            raise WrongType(what, self.name, self.where) from None


def _parameter(name: str, parameter: inspect.Parameter, hint: object) -> Parameter:
    if parameter.kind is not inspect.Parameter.POSITIONAL_OR_KEYWORD:
        msg = f"parameter {name} must be positional-or-keyword"
        raise DeclarationError(msg)
    kind = describe(hint)
    if parameter.default is inspect.Parameter.empty:
        return Parameter(name, kind, None)
    try:
        return Parameter(name, kind, encode(msgspec.convert(parameter.default, hint, builtin_types=BUILTIN)))
    except _UNFIT:
        msg = f"the default of parameter {name} is not of its type"
        raise DeclarationError(msg) from None


def _export(actor: type, name: str, function: Callable[..., object], mark: Mark) -> Exported:
    where = f"{actor.__name__}.{name}"
    if not HANDLER.fullmatch(name) or name.startswith("_"):
        msg = f"{where}: a handler's name is a letter, then at most 63 letters, digits or underscores"
        raise DeclarationError(msg)
    try:
        hints = typing.get_type_hints(function, {**KNOWN, **inspect.unwrap(function).__globals__})
    except NameError as error:
        msg = f"{where}: {error.name!r} in its annotations is not known at run time; import it outside TYPE_CHECKING"
        raise DeclarationError(msg) from None
    found = list(inspect.signature(function).parameters.items())[1:]
    missing = [n for n in [n for n, _ in found] + ["return"] if n not in hints]
    wrong = [n for n, _ in found if not is_name(n)]
    if missing or wrong:
        msg = f"{where}: annotate {', '.join(missing)}" if missing else f"{where}: rename {', '.join(wrong)}"
        raise DeclarationError(msg)
    try:
        parameters = tuple(_parameter(n, p, hints[n]) for n, p in found)
        item_type, result_type = _results(function, hints["return"], mark)
        item = None if item_type is None else describe(item_type)
        result = describe(result_type)
    except DeclarationError as error:
        msg = f"{where}: {error}"
        raise DeclarationError(msg) from None
    try:
        arguments: Codec[tuple[object, ...]] = Codec(tuple_of(tuple(hints[n] for n, _ in found)))
        Codec[object](result_type)
        Codec[object](item_type)
    except TypeError as error:  # a union that no decoder could take apart
        msg = f"{where}: {error}"
        raise DeclarationError(msg) from None
    where_defined = defined(function.__code__) if inspect.isfunction(function) else ""
    return Exported(name, parameters, result, mark, arguments, result_type, item, item_type, where_defined)


def _results(function: Callable[..., object], hint: object, mark: Mark) -> tuple[object, object]:
    """Return the types of the items, None if it is no stream, and of the result."""
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        msg = "a handler is no coroutine: write def, and wait for other servers with .get(timeout=…)"
        raise DeclarationError(msg)
    found = stream_types(hint)
    if found is None:
        if inspect.isgeneratorfunction(function):
            msg = "it yields; annotate what: Iterator[T] or Generator[T, None, R]"
            raise DeclarationError(msg)
        return None, hint
    if typing.get_origin(hint) is Generator and not inspect.isgeneratorfunction(function):
        msg = "it never yields; yield what it promises, or write -> Iterator[T] where it returns one"
        raise DeclarationError(msg)
    if mark.idempotent:
        msg = "a stream cannot be idempotent: nobody could tell where to go on"
        raise DeclarationError(msg)
    return found


def _reserved(actor: type) -> frozenset[str]:
    """Return the names that every process actor has, of its own or of pykka's."""
    base = next((each for each in actor.__mro__ if each.__module__ == _BASE), object)
    return frozenset({name for each in base.__mro__ for name in (*each.__dict__, *inspect.get_annotations(each))})


def exported(actor: type) -> Mapping[str, Exported]:
    """Return the handlers of an actor class by name; raises `DeclarationError` for one that cannot be exported."""
    found: dict[str, Exported] = {}
    reserved = _reserved(actor)
    for name in dir(actor):
        function = inspect.getattr_static(actor, name)
        mark = getattr(function, _MARK, None)
        if isinstance(mark, Mark):
            if not inspect.isfunction(function):
                msg = f"{actor.__name__}.{name}: @handler goes on a plain method, inside other decorators"
                raise DeclarationError(msg)
            if name in reserved:
                msg = f"{actor.__name__}.{name}: every actor has {name}, which means something else; rename the handler"
                raise DeclarationError(msg)
            found[name] = _export(actor, name, function, mark)
    return MappingProxyType(found)
