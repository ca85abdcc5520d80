"""`@handler`: what an actor exports, and the manifest made of it when its class is loaded.

May import: `msgspec`, our messages. Invariant: the table of handlers is a function of the class; nothing can be added
to it at run time.
"""

from __future__ import annotations

import inspect
import typing
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeVar, overload

import msgspec

from trollbridge.messages.codec import BUILTIN, Codec, encode
from trollbridge.messages.errors import DeclarationError
from trollbridge.messages.ids import HANDLER
from trollbridge.messages.payloads import HandlerEntry, Parameter
from trollbridge.messages.signature import TypeSpec, describe, tuple_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

F = TypeVar("F", bound="Callable[..., object]")
DEFAULT_MAX_BYTES: Final = 1 << 20
LARGEST_MAX_BYTES: Final = 1 << 30
_MARK: Final = "__trollbridge_handler__"


class Mark(msgspec.Struct, frozen=True):
    """What `@handler` was given."""

    sensitive: bool
    idempotent: bool
    max_bytes: int


@overload
def handler(function: F, /) -> F: ...
@overload
def handler(
    *, sensitive: bool = False, idempotent: bool = False, max_bytes: int = DEFAULT_MAX_BYTES
) -> Callable[[F], F]: ...
def handler(
    function: F | None = None,
    /,
    *,
    sensitive: bool = False,
    idempotent: bool = False,
    max_bytes: int = DEFAULT_MAX_BYTES,
) -> F | Callable[[F], F]:
    """Export a method of a process actor; nothing else of it can be called from another process.

    `sensitive`: the result is sealed to the core UI, whoever asked. `idempotent`: the call may be sent again in the
    next epoch. `max_bytes`: the most that the encoded arguments, and the encoded result, may take. Raises
    `DeclarationError` out of range.
    """
    if not 0 < max_bytes <= LARGEST_MAX_BYTES:
        msg = f"max_bytes={max_bytes} is not between 1 and {LARGEST_MAX_BYTES}"
        raise DeclarationError(msg)
    mark = Mark(sensitive, idempotent, max_bytes)

    def set_mark(target: F) -> F:
        setattr(target, _MARK, mark)
        return target

    return set_mark if function is None else set_mark(function)


class Exported(msgspec.Struct, frozen=True):
    """One handler of a class, ready to decode calls and to encode results."""

    name: str
    parameters: tuple[Parameter, ...]
    result: TypeSpec
    mark: Mark
    arguments: Codec[tuple[object, ...]]
    result_type: object

    def entry(self, code: bytes) -> HandlerEntry:
        """Return the line that one client sees in one session."""
        mark = self.mark
        return HandlerEntry(
            self.name, code, self.parameters, self.result, mark.sensitive, mark.idempotent, mark.max_bytes
        )

    def encode_result(self, value: object) -> bytes:
        """Return the encoded result; raises `msgspec.ValidationError` if it is not of the declared type."""
        return encode(msgspec.convert(value, self.result_type, builtin_types=BUILTIN))


def _parameter(name: str, parameter: inspect.Parameter, hint: object) -> Parameter:
    if parameter.kind is not inspect.Parameter.POSITIONAL_OR_KEYWORD:
        msg = f"parameter {name} must be positional-or-keyword"
        raise DeclarationError(msg)
    kind = describe(hint)
    if parameter.default is inspect.Parameter.empty:
        return Parameter(name, kind, None)
    try:
        return Parameter(name, kind, encode(msgspec.convert(parameter.default, hint, builtin_types=BUILTIN)))
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError, RecursionError):
        msg = f"the default of parameter {name} is not of its type"
        raise DeclarationError(msg) from None


def _export(actor: type, name: str, function: Callable[..., object], mark: Mark) -> Exported:
    where = f"{actor.__name__}.{name}"
    if not HANDLER.fullmatch(name) or name.startswith("_"):
        msg = f"{where}: a handler's name is a letter, then at most 63 letters, digits or underscores"
        raise DeclarationError(msg)
    try:
        hints = typing.get_type_hints(function)
    except NameError as error:
        msg = f"{where}: {error.name!r} in its annotations is not known at run time; import it outside TYPE_CHECKING"
        raise DeclarationError(msg) from None
    found = list(inspect.signature(function).parameters.items())[1:]
    missing = [n for n in [n for n, _ in found] + ["return"] if n not in hints]
    if missing:
        msg = f"{where}: annotate {', '.join(missing)}"
        raise DeclarationError(msg)
    try:
        parameters = tuple(_parameter(n, p, hints[n]) for n, p in found)
        result = describe(hints["return"])
    except DeclarationError as error:
        msg = f"{where}: {error}"
        raise DeclarationError(msg) from None
    try:
        arguments: Codec[tuple[object, ...]] = Codec(tuple_of(tuple(hints[n] for n, _ in found)))
        Codec[object](hints["return"])
    except TypeError as error:  # a union that no decoder could take apart
        msg = f"{where}: {error}"
        raise DeclarationError(msg) from None
    return Exported(name, parameters, result, mark, arguments, hints["return"])


def exported(actor: type) -> Mapping[str, Exported]:
    """Return the handlers of an actor class by name; raises `DeclarationError` for one that cannot be exported."""
    found: dict[str, Exported] = {}
    for name in dir(actor):
        function = inspect.getattr_static(actor, name)
        mark = getattr(function, _MARK, None)
        if isinstance(mark, Mark):
            if not inspect.isfunction(function):
                msg = f"{actor.__name__}.{name}: @handler goes on a plain method, inside other decorators"
                raise DeclarationError(msg)
            found[name] = _export(actor, name, function, mark)
    return MappingProxyType(found)
