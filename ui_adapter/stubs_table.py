"""What generated client code is made of: one stub for each handler that a caller may call, and the records they use.

May import: `msgspec`, our messages. Invariants: a table is a function of its entries, sorted, so the same entries give
the same text; no name gets into it that is not an identifier, so no manifest can write code into a text made of it.
"""

from __future__ import annotations

import keyword
from typing import TYPE_CHECKING, Final, assert_never
from unicodedata import ucd_3_2_0

import msgspec

from trollbridge.messages import labels
from trollbridge.messages.codec import Codec
from trollbridge.messages.errors import Malformed, ProtocolError
from trollbridge.messages.ids import HANDLER, MEMBER
from trollbridge.messages.payloads import Parameter
from trollbridge.messages.ring_key import Sealed
from trollbridge.messages.signature import (
    MapOf,
    OneOf,
    Scalar,
    SequenceOf,
    StructOf,
    TupleOf,
    TypeSpec,
    describe,
    is_name,
    realise,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from trollbridge.messages.payloads import HandlerEntry
    from trollbridge.ui_adapter.page_values import Value

CODE_LENGTH: Final = 16
"""Bytes of a generated name: 128 bits, as many as the session code has."""
_NO_NAMES: Final = frozenset({"self"})
"""Identifiers that a method's parameter cannot have besides the language's own words."""
SEALED: Final = describe(Sealed)
"""What a caller without the ring key gets of a `sensitive` handler, as a type."""


class Stub(msgspec.Struct, frozen=True):
    """One handler in generated code."""

    member: str
    method: str
    name: str
    """What it is called in one session: `h_` and 32 hexadecimal digits."""
    parameters: tuple[Parameter, ...]
    result: TypeSpec
    item: TypeSpec | None
    """What its stream yields; None if it is no stream."""
    doc: str = ""

    @property
    def full_name(self) -> str:
        """`member.method`."""
        return f"{self.member}.{self.method}"


class Table(msgspec.Struct, frozen=True):
    """Every stub of one caller, by member and method."""

    stubs: tuple[Stub, ...]
    left_out: tuple[str, ...]
    """Handlers whose manifest has a name in it that no code can have, such as a keyword."""

    @property
    def members(self) -> Mapping[str, tuple[Stub, ...]]:
        """The stubs of each member, in their order."""
        names = dict.fromkeys(each.member for each in self.stubs)
        return {name: tuple(each for each in self.stubs if each.member == name) for name in names}


def generated_name(code: bytes, full_name: str) -> str:
    """Return the name of a handler for one session, from its session code, to which it does not lead back."""
    return f"h_{labels.derive(labels.PAGE, code, full_name.encode())[:CODE_LENGTH].hex()}"


def stub_of(member: str, entry: HandlerEntry, *, core: bool, doc: str = "") -> Stub:
    """Return the stub of one line of a manifest; to a caller that is not the `core` UI sensitive values are sealed."""
    seal = entry.sensitive and not core
    return Stub(
        member,
        entry.name,
        generated_name(entry.code, f"{member}.{entry.name}"),
        entry.parameters,
        SEALED if seal else entry.result,
        SEALED if seal and entry.item is not None else entry.item,
        doc,
    )


def table_of(stubs: Iterable[Stub]) -> Table:
    """Return the table of some stubs; those that no code can be made of are left out and named."""
    known: dict[bool, list[Stub]] = {True: [], False: []}
    for stub in sorted(stubs, key=lambda each: each.full_name):
        known[_fits(stub)].append(stub)
    return Table(tuple(known[True]), tuple(each.full_name for each in known[False]))


def _identifier(name: str) -> bool:
    """Return whether a name is one in every text: in Python's, and in whatever engine a page runs in.

    An engine may know an older Unicode than we do; what is a letter in 3.2 is one for all of them.
    """
    old = all(ucd_3_2_0.category(each) != "Cn" for each in name)
    return is_name(name) and old and not keyword.iskeyword(name) and name not in _NO_NAMES


def _fits(stub: Stub) -> bool:
    names = [each.name for each in stub.parameters]
    required = [each.default is None for each in stub.parameters]
    if not MEMBER.fullmatch(stub.member) or not HANDLER.fullmatch(stub.method) or not _identifier(stub.method):
        return False
    if not all(map(_identifier, names)) or len(set(names)) < len(names) or required != sorted(required, reverse=True):
        return False
    try:
        for kind in kinds_of(stub):
            realise(kind, {})
            if not all(_record_fits(each) for each in records_in(kind)):
                return False
        for each in stub.parameters:
            if each.default is not None:
                default_of(each)
    except (ProtocolError, TypeError, ValueError):  # a type that describes none, or a default that is not of its type
        return False
    return True


def _record_fits(record: StructOf) -> bool:
    return all(map(_identifier, [record.name, *(each.name for each in record.fields)]))


def kinds_of(stub: Stub) -> tuple[TypeSpec, ...]:
    """Return every type that a stub names."""
    items = () if stub.item is None else (stub.item,)
    return (*(each.kind for each in stub.parameters), *items, stub.result)


def default_of(parameter: Parameter) -> Value:
    """Return a parameter's default, records as tuples; raises `Malformed` if it has none or one of another type."""
    if parameter.default is None:
        raise Malformed
    codec: Codec[Value] = Codec(realise(parameter.kind, {}))
    return codec.decode(parameter.default)


def records_in(kind: TypeSpec) -> Iterator[StructOf]:
    """Return every record type in `kind`, those inside first."""
    match kind:
        case Scalar():
            return
        case SequenceOf(item) | MapOf(item):
            yield from records_in(item)
        case TupleOf(items) | OneOf(items):
            for each in items:
                yield from records_in(each)
        case StructOf(_, fields):
            for field in fields:
                yield from records_in(field.kind)
            yield kind
        case _:
            assert_never(kind)


def free(name: str, taken: Callable[[str], bool]) -> str:
    """Return `name`, with as many underscores behind it as it takes to be nobody else's."""
    while taken(name):
        name += "_"
    return name


class Records:
    """The names of a table's record types in one text: two records of one name and different fields get two."""

    def __init__(self, table: Table, reserved: frozenset[str]) -> None:
        """Give each record a name that is neither reserved in the text nor another's."""
        self._names: dict[StructOf, str] = {}
        taken = set(reserved)
        for stub in table.stubs:
            for kind in kinds_of(stub):
                for record in records_in(kind):
                    if record not in self._names:
                        self._names[record] = free(record.name, taken.__contains__)
                        taken.add(self._names[record])

    def name(self, record: StructOf) -> str:
        """Return the name of a record in the text."""
        return self._names[record]

    def __iter__(self) -> Iterator[tuple[str, StructOf]]:
        """Return each record with its name, one that another one uses before that."""
        return iter([(name, record) for record, name in self._names.items()])
