"""Generated JavaScript for a page: an ES module whose `connect(send)` gives one async function for each handler.

May import: our messages, the table of stubs, the runtime. Invariants: the same table gives the same text; a value in it
is a literal, and no name that a manifest holds can end one; our own names begin with `$`, as none of Python's can.
"""

from __future__ import annotations

import base64
import json
import math
from typing import TYPE_CHECKING, Final, assert_never

import msgspec

from trollbridge.messages.signature import MapOf, OneOf, Scalar, SequenceOf, StructOf, TupleOf, TypeSpec
from trollbridge.ui_adapter.page_values import SAFE
from trollbridge.ui_adapter.stubs_runtime import DECLARATIONS, RUNTIME
from trollbridge.ui_adapter.stubs_table import Records, default_of, free

if TYPE_CHECKING:
    from collections.abc import Callable

    from trollbridge.messages.payloads import Parameter
    from trollbridge.ui_adapter.page_values import Value
    from trollbridge.ui_adapter.stubs_table import Stub, Table

WORDS: Final = frozenset({
    *("arguments", "as", "async", "await", "break", "case", "catch", "class", "const", "continue", "debugger"),
    *("default", "delete", "do", "else", "enum", "eval", "export", "extends", "false", "finally", "for", "from"),
    *("function", "get", "if", "implements", "import", "in", "instanceof", "interface", "let", "new", "null", "of"),
    *("package", "private", "protected", "public", "return", "set", "static", "super", "switch", "this", "throw"),
    *("true", "try", "typeof", "undefined", "var", "void", "while", "with", "yield"),
})  # fmt: skip
"""Words that are no parameter's name in a module."""
_TYPES: Final = frozenset({
    *("ArrayBuffer", "AsyncIterableIterator", "Bridge", "Error", "Infinity", "Integer", "Map", "NaN", "Object"),
    *("Progress", "Promise", "ReadonlyMap", "Send", "Stream", "TrollbridgeError", "Uint8Array", "any", "bigint"),
    *("boolean", "connect", "declare", "keyof", "module", "namespace", "never", "number", "object", "readonly"),
    *("string", "symbol", "type", "unique", "unknown"),
})  # fmt: skip
"""Names that a text of types uses; a record of such a name gets another."""


def parameter_names(stub: Stub) -> tuple[str, ...]:
    """Return what a stub's parameters are called: as in Python, but for JavaScript's own words."""
    names = frozenset(each.name for each in stub.parameters)
    return tuple(free(each.name, (WORDS | names - {each.name}).__contains__) for each in stub.parameters)


def literal(value: Value) -> str:  # noqa: PLR0911  # one return for each kind of value
    """Return a value as JavaScript writes it."""
    match value:
        case None | bool() | str():
            return _text(value)
        case int():
            return str(value) if abs(value) <= SAFE else f"{value}n"
        case float():
            return (
                repr(value) if math.isfinite(value) else {"inf": "Infinity", "-inf": "-Infinity"}.get(str(value), "NaN")
            )
        case bytes():
            return f'$decoded("{base64.b64encode(value).decode()}")'
        case tuple():
            return f"[{', '.join(map(literal, value))}]"
        case dict():
            return f"new Map([{', '.join(f'[{_text(key)}, {literal(each)}]' for key, each in value.items())}])"
        case msgspec.Struct():
            fields = ((name, getattr(value, name)) for name in value.__struct_fields__)
            return f"Object.fromEntries([{', '.join(f'[{_text(name)}, {literal(each)}]' for name, each in fields)}])"
        case _:
            assert_never(value)


def _text(value: str | bool | None) -> str:  # noqa: FBT001  # what JSON writes as JavaScript does
    return json.dumps(value)


def module(table: Table, epoch: int | None) -> str:
    """Return the ES module of a table, of a session's `epoch` or of none."""
    of = "no session, made by `trollbridge stubs`" if epoch is None else f"one session, epoch {epoch}, and of no other"
    lines = [
        f"// Client code of {of}: elsewhere its names reach nothing.",
        RUNTIME.rstrip(),
        "",
        "export function connect($send) {",
    ]
    lines += ["  return Object.freeze({", "    __proto__: null,"]
    for member, stubs in table.members.items():
        lines += [f"    {member}: Object.freeze({{", "      __proto__: null,"]
        lines += [f"      {_function(each)}," for each in stubs]
        lines += ["    }),"]
    return "\n".join([*lines, "  });", "}", ""])


def _function(stub: Stub) -> str:
    names = parameter_names(stub)
    taken = ", ".join(map(_parameter, names, stub.parameters))
    given = f'$send, "{stub.name}", [{", ".join(names)}]'
    return f"{stub.method}: ({taken}) => " + (f"$call({given})" if stub.item is None else f"new $Stream({given})")


def _parameter(name: str, parameter: Parameter) -> str:
    return name if parameter.default is None else f"{name} = {literal(default_of(parameter))}"


# TypeScript.


def kind(spec: TypeSpec, name: Callable[[StructOf], str]) -> str:
    """Return a type as TypeScript writes it; `name` names a record."""
    match spec:
        case Scalar(scalar):
            return {"bytes": "Uint8Array", "str": "string", "int": "Integer", "float": "number", "bool": "boolean"}.get(
                scalar, "null"
            )
        case SequenceOf(item):
            return f"readonly ({kind(item, name)})[]"
        case TupleOf(items):
            return f"readonly [{', '.join(kind(each, name) for each in items)}]"
        case MapOf(value):
            return f"ReadonlyMap<string, {kind(value, name)}>"
        case OneOf(options):
            return " | ".join(kind(each, name) for each in options)
        case StructOf():
            return name(spec)
        case _:
            assert_never(spec)


def declarations(table: Table) -> str:
    """Return the module's types: a `.d.ts`, in which a bridge has exactly the handlers of the table."""
    records = Records(table, frozenset(WORDS | _TYPES))
    lines = ["// Types of a page's client code; made by `trollbridge stubs` and `bridge.stubs`.", DECLARATIONS.rstrip()]
    for name, record in records:
        lines += ["", f"export interface {name} {{"]
        lines += [f"  readonly {each.name}: {kind(each.kind, records.name)};" for each in record.fields]
        lines += ["}"]
    lines += ["", "export interface Bridge {"]
    for member, stubs in table.members.items():
        lines += [f"  readonly {member}: {{"]
        lines += [f"    readonly {_signature(each, records)};" for each in stubs]
        lines += ["  };"]
    return "\n".join([*lines, "}", "", "export function connect(send: Send): Bridge;", ""])


def _signature(stub: Stub, records: Records) -> str:
    taken = ", ".join(
        f"{name}{'' if each.default is None else '?'}: {kind(each.kind, records.name)}"
        for name, each in zip(parameter_names(stub), stub.parameters, strict=True)
    )
    result = kind(stub.result, records.name)
    made = f"Promise<{result}>" if stub.item is None else f"Stream<{kind(stub.item, records.name)}, {result}>"
    return f"{stub.method}: ({taken}) => {made}"
