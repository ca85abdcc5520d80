"""Generated Python: a session's stubs as a module of functions, and an application's bridge as a `.pyi` for editors.

May import: our messages, the table of stubs. Invariants: the same table gives the same text; whatever a table holds,
the text is Python, and a value in it is written by `repr` of a scalar, never by the name of anything.
"""

from __future__ import annotations

import builtins
import keyword
import math
from typing import TYPE_CHECKING, Final

import msgspec

from trollbridge.messages.signature import MapOf, OneOf, Scalar, SequenceOf, StructOf, TupleOf, TypeSpec
from trollbridge.ui_adapter.stubs_table import SEALED, Records, Stub, Table, default_of, free, kinds_of, records_in

if TYPE_CHECKING:
    from trollbridge.ui_adapter.page_values import Value

_OURS: Final = (
    "Any",
    "Bridge",
    "Callable",
    "Final",
    "Promise",
    "Protocol",
    "Sealed",
    "Self",
    "Stream",
    "NAMES",
    "annotations",
)
_MODULES: Final = ("abc", "builtins")
_ACTORS: Final = ("UiActor", "AsyncUiActor", "ExtensionActor")
_PRIVATE: Final = ("_Bridge", "_CallerActor", "_Client", "_Handler", "_MemberProxy", "_Sealed")
RESERVED: Final = frozenset(
    {*dir(builtins), *keyword.kwlist, *keyword.softkwlist, *_OURS, *_MODULES, *_ACTORS, *_PRIVATE}
)
"""Names that a text of ours uses; a record of such a name gets another."""
_BUILT_IN: Final = frozenset({"bool", "bytes", "dict", "float", "int", "property", "str", "tuple"})


class Names:
    """How one text writes types and values."""

    def __init__(self, table: Table) -> None:
        """Name the table's records."""
        ours = {*(each.name for each in table.stubs), *(f"_{member}" for member in table.members)}
        fields = {
            each.name for stub in table.stubs for of in kinds_of(stub) for r in records_in(of) for each in r.fields
        }
        self.records: Final = Records(table, RESERVED | ours | fields)
        self._shadowed: Final = fields & _BUILT_IN

    def kind(self, spec: TypeSpec, *, given: bool = False) -> str:
        """Return a type; one that is `given` takes a record as a tuple of its fields too."""
        match spec:
            case Scalar(name):
                return "None" if name == "none" else self._built_in(name)
            case SequenceOf(item):
                return f"{self._built_in('tuple')}[{self.kind(item, given=given)}, ...]"
            case TupleOf(items):
                return f"{self._built_in('tuple')}[{', '.join(self.kind(each, given=given) for each in items) or '()'}]"
            case MapOf(value):
                return f"{self._built_in('dict')}[{self._built_in('str')}, {self.kind(value, given=given)}]"
            case OneOf(options):
                return " | ".join(self.kind(each, given=given) for each in options)
            case StructOf():
                return self._record(spec, given=given)

    def _record(self, record: StructOf, *, given: bool) -> str:
        name = "Sealed" if record == SEALED else self.records.name(record)
        if not given:
            return name
        fields = ", ".join(self.kind(each.kind, given=True) for each in record.fields)
        return f"{name} | {self._built_in('tuple')}[{fields or '()'}]"

    @property
    def protocol(self) -> list[str]:
        """What records are written with, if there are any."""
        return ["Protocol"] if any(record != SEALED for _, record in self.records) else []

    @property
    def built_in(self) -> list[str]:
        """The import of the built-in types, if they are needed by that name."""
        return ["import builtins"] if self._shadowed else []

    def _built_in(self, name: str) -> str:
        """Return a built-in type, out of the reach of a record's field of that name."""
        return f"builtins.{name}" if name in self._shadowed else name

    def parameters(self, stub: Stub) -> str:
        """Return the parameters with their defaults, a comma before each."""
        written = ""
        for each in stub.parameters:
            written += f", {each.name}: {self.kind(each.kind, given=True)}"
            if each.default is not None:
                written += f" = {literal(default_of(each))}"
        return written

    def returned(self, stub: Stub) -> str:
        """Return what a call returns."""
        return f"Promise[{self.kind(stub.result)}]" if stub.item is None else f"Stream[{self.kind(stub.item)}]"

    def record_classes(self) -> list[str]:
        """Return the records as protocols, which the UI's own class and the bridge's fit alike."""
        lines: list[str] = []
        for name, record in self.records:
            if record == SEALED:
                continue
            lines += ["", "", f"class {name}(Protocol):", '    """A record."""']
            for field in record.fields:
                lines += [
                    "",
                    f"    @{self._built_in('property')}",
                    f"    def {field.name}(self) -> {self.kind(field.kind)}: ...",
                ]
        return lines

    def imports(self, table: Table) -> list[str]:
        """Return the imports that the types need."""
        found = ["from trollbridge.actors.calling.promise import Promise"]
        if any(each.item is not None for each in table.stubs):
            found.append("from trollbridge.actors.calling.stream import Stream")
        if any(record == SEALED for _, record in self.records):
            found.append("from trollbridge.messages.ring_key import Sealed")
        return found


def literal(value: Value) -> str:
    """Return a value as Python writes it; a record as the tuple of its fields."""
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    if isinstance(value, msgspec.Struct):
        value = tuple(getattr(value, name) for name in value.__struct_fields__)
    if isinstance(value, tuple):
        inside = ", ".join(map(literal, value))
        return f"({inside},)" if len(value) == 1 else f"({inside})"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{literal(name)}: {literal(each)}" for name, each in value.items()) + "}"
    return repr(value)


def module(table: Table, epoch: int) -> str:
    """Return a session's stubs: one function for each, under its name of this session, and the table of these."""
    names = Names(table)
    lines = [
        f'"""Client code of one session, epoch {epoch}; in the next one none of its names reaches anything."""',
        "",
        "from __future__ import annotations",
        "",
        *names.built_in,
        f"from typing import {', '.join(['Final', *names.protocol])}",
        "",
        *names.imports(table),
        "from trollbridge.ui_adapter.bridge import Bridge",
        *names.record_classes(),
    ]
    for stub in table.stubs:
        lines += ["", "", *_function(names, stub)]
    lines += ["", "", "NAMES: Final = {"]
    lines += [f'    "{each.full_name}": {each.name},' for each in table.stubs]
    return "\n".join([*lines, "}", ""])


def _function(names: Names, stub: Stub) -> list[str]:
    given = [each.name for each in stub.parameters]
    bridge, called = (free(each, given.__contains__) for each in ("bridge", "called"))
    call = f'{bridge}.stubs.handler("{stub.name}")({", ".join(given)})'
    return [
        f"def {stub.name}({bridge}: Bridge, /{names.parameters(stub)}) -> {names.returned(stub)}:",
        f'    """Call {stub.full_name}."""',
        f"    {called}: {names.returned(stub)} = {call}",
        f"    return {called}",
    ]


# For editors.

_HANDLER: Final = '''
class _Handler:
    @property
    def signature(self) -> str: ...
    def within(self, seconds: float) -> Self:
        """Give the call a deadline, after which it is not started."""

    def progress(self, report: Callable[[int, int], None]) -> Self:
        """Call `report(sent, total)`, in bytes, as long arguments leave."""

    def open(self, sealed: _Sealed, /, *positional: object, **named: object) -> Any:
        """Return what a `Sealed` holds, if it is a result of this handler for exactly these arguments."""
'''
_CLOSED: Final = "    __getattr__: None  # type: ignore[assignment,misc]  # what is not granted is not there"


def interface(table: Table, caller: str, *, extension: bool) -> str:
    """Return a `.pyi` in which a bridge has exactly what `caller` is granted, with its types."""
    names = Names(table)
    actors = {"ExtensionActor": ""} if extension else {"UiActor": "", "AsyncUiActor": "async "}
    lines = [
        f'"""What {caller} may call, as an editor and a type checker know it; made by `trollbridge stubs`."""',
        "",
        "import abc",
        *names.built_in,
        "from collections.abc import Callable",
        f"from typing import {', '.join(['Any', *names.protocol, 'Self'])}",
        "",
        "from trollbridge.actors.entry.caller import CallerActor as _CallerActor",
        "from trollbridge.actors.calling.client import Client as _Client",
        *names.imports(table),
        "from trollbridge.ui_adapter.bridge import Bridge as _Bridge",
        "from trollbridge.actors.calling.proxies import MemberProxy as _MemberProxy",
        "from trollbridge.messages.ring_key import Sealed as _Sealed",
        *names.record_classes(),
        "",
        *_HANDLER.splitlines(),
    ]
    for member, stubs in table.members.items():
        lines += ["", f"class _{member}(_MemberProxy):"]
        for stub in stubs:
            lines += [
                f"    class _{stub.method}(_Handler):",
                *_callable(names, stub),
                f"    {stub.method}: _{stub.method}",
            ]
        lines += [_CLOSED]
    lines += ["", "class Bridge(_Bridge):"]
    lines += [f"    {member}: _{member}" for member in table.members]
    lines += [_CLOSED]
    for actor, prefix in actors.items():
        # Not a subclass of the shipped class, whose `main` takes any bridge: so no checker calls this one narrower.
        lines += ["", f"class {actor}(_CallerActor):", "    def run(self, client: _Client) -> int | None: ..."]
        lines += ["    @abc.abstractmethod", f"    {prefix}def main(self, bridge: Bridge) -> int | None: ..."]
    return "\n".join([*lines, ""])


def _callable(names: Names, stub: Stub) -> list[str]:
    head = f"        def __call__(self{names.parameters(stub)}) -> {names.returned(stub)}:"
    doc = stub.doc
    if stub.item is not None and stub.result != Scalar("none"):
        doc = f"{doc} Its result is of type {names.kind(stub.result)}.".lstrip()
    return [head, f"            {doc!r}"] if doc else [f"{head} ..."]


def runtime(*, extension: bool) -> str:
    """Return the module that a `.pyi` of `interface` stands beside, so that its names can be imported."""
    actors = "ExtensionActor" if extension else "AsyncUiActor, UiActor"
    return (
        '"""The names of the file beside it, which describes them; made by `trollbridge stubs`."""\n\n'
        f"from trollbridge.ui_adapter import {', '.join(sorted(['Bridge', *actors.split(', ')]))}\n\n"
        f"__all__ = {sorted(['Bridge', *actors.split(', ')])!r}\n".replace("'", '"')
    )
