"""The texts themselves: whatever a manifest holds, they are Python and JavaScript, and hold no code of its own."""

from __future__ import annotations

import ast
import shutil
import subprocess
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stubs.specs import KINDS, NAMES, is_word, values
from trollbridge.messages.codec import encode
from trollbridge.messages.payloads import HandlerEntry, Parameter
from trollbridge.messages.signature import Field, Scalar, SequenceOf, StructOf, TypeSpec
from trollbridge.ui_adapter import stubs_javascript, stubs_python
from trollbridge.ui_adapter.stubs_table import stub_of, table_of

if TYPE_CHECKING:
    from trollbridge.ui_adapter.stubs_table import Table

CODE: Final = bytes(range(16))
NOTHING: Final = Scalar("none")
TRY: Final = """
import { readFileSync } from "node:fs";
let taken = 0;
for (const text of JSON.parse(readFileSync(0))) {
  const { connect } = await import(`data:text/javascript,${encodeURIComponent(text)}`);
  for (const each of Object.values(connect(async () => "{}").clerk)) taken += typeof each === "function";
}
console.log(taken);
"""
"""Imports each module of a list and counts the functions of its one member."""
NODE: Final = shutil.which("node") or "node"
NODE_LIMIT: Final = 60.0
"""Seconds that node may take on a busy machine."""
YOUNG: Final = "\u07ca"
"""A letter since Unicode 5.0: an engine that is old enough takes it for none."""
BOLD: Final = "\N{MATHEMATICAL BOLD SMALL B}ridge"
PWNED: Final = "x): ...\nimport os; os.system('true')\ndef y("


def entry(name: str, *parameters: Parameter, result: TypeSpec = NOTHING, item: TypeSpec | None = None) -> HandlerEntry:
    """Return a line of a manifest."""
    return HandlerEntry(name, CODE, parameters, result, sensitive=False, idempotent=False, max_bytes=1, item=item)


def table(*entries: HandlerEntry) -> Table:
    """Return the table of one member's handlers."""
    return table_of(stub_of("clerk", each, core=True) for each in entries)


def drawn(data: st.DataObject) -> HandlerEntry:
    """Return any line of a manifest that an honest class could have."""
    kinds: list[TypeSpec] = data.draw(st.lists(KINDS, max_size=4))
    names: list[str] = data.draw(st.lists(NAMES, min_size=len(kinds), max_size=len(kinds), unique=True))
    required = data.draw(st.integers(0, len(kinds)))
    defaults = [None if n < required else encode(data.draw(values(kind))) for n, kind in enumerate(kinds)]
    return entry(
        data.draw(st.sampled_from(["delete", "bytes", "sign", "then"])),
        *map(Parameter, names, kinds, defaults),
        result=data.draw(KINDS),
        item=data.draw(st.none() | KINDS),
    )


@given(st.data())
def test_every_manifest_gives_python_that_says_what_it_says(data: st.DataObject) -> None:
    """A18: the texts parse, the same each time; each function has its parameters, in order, under their names."""
    made = table(drawn(data))
    [stub] = made.stubs
    assert made.left_out == ()
    text = stubs_python.module(made, 1)
    assert stubs_python.module(made, 1) == text
    [function] = [each for each in ast.parse(text).body if isinstance(each, ast.FunctionDef)]
    assert (function.name, [each.arg for each in function.args.args]) == (
        stub.name,
        [each.name for each in stub.parameters],
    )
    for extension in (False, True):
        ast.parse(stubs_python.interface(made, "desk", extension=extension))
        ast.parse(stubs_python.runtime(extension=extension))


def test_every_manifest_gives_javascript_that_node_takes() -> None:
    """A18: many manifests, each a module that node reads and runs."""
    modules: list[str] = []

    @given(st.data())
    def gather(data: st.DataObject) -> None:
        modules.append(stubs_javascript.module(table(drawn(data)), 1))

    gather()
    ended = subprocess.run(
        [NODE, "--input-type=module", "-e", TRY],
        input=msgspec.json.encode(modules), timeout=NODE_LIMIT, check=False, capture_output=True,
    )  # fmt: skip
    assert (ended.stdout.decode(), ended.stderr.decode()) == (f"{len(modules)}\n", "")
    assert len(modules) >= 50


def _hostile() -> list[HandlerEntry]:
    record = StructOf("Label", (Field("text", Scalar("str")),))
    empty = encode(())
    return [
        entry(PWNED),
        entry("class"),
        entry("_private"),
        *(
            entry("sign", Parameter(name, Scalar("str"), None))
            for name in (PWNED, "class", "self", "", "a b", "a,b", "*a", "__debug__", BOLD, "ª", YOUNG)
        ),
        entry(
            "sign", Parameter("\N{LATIN SMALL LIGATURE FI}", Scalar("str"), None), Parameter("fi", Scalar("str"), None)
        ),
        *(entry("sign", result=StructOf("A", (Field(each, Scalar("str")),))) for each in ("__slots__", "__qualname__")),
        entry("sign", Parameter("a", Scalar("str"), None), Parameter("a", Scalar("str"), None)),
        entry("sign", Parameter("a", Scalar("str"), encode("")), Parameter("b", Scalar("str"), None)),
        entry("sign", Parameter("a", Scalar("str"), encode(1))),
        entry("sign", Parameter("a", Scalar(PWNED), None)),
        entry("sign", result=StructOf(PWNED, ())),
        entry("sign", result=StructOf("class", ())),
        entry("sign", result=SequenceOf(StructOf("Label", (Field(PWNED, Scalar("str")),)))),
        entry("sign", item=StructOf("Label", (Field("None", Scalar("str")),))),
        entry("sign", Parameter("a", record, empty)),
    ]


@pytest.mark.parametrize("number", range(len(_hostile())))
def test_a_manifest_with_a_name_that_is_none_is_left_out_whole(number: int) -> None:
    """P5, F12, finding 18: a hostile host's manifest writes nothing into a text; the handlers beside it are there."""
    hostile = _hostile()[number]
    made = table(hostile, entry("honest"))
    assert ([each.method for each in made.stubs], made.left_out) == (["honest"], (f"clerk.{hostile.name}",))
    texts = [stubs_python.module(made, 1), stubs_javascript.module(made, 1), stubs_javascript.declarations(made)]
    assert all("os.system" not in text for text in texts)
    exec(compile(texts[0], "stubs", "exec"), {})  # noqa: S102  # whatever was left out, the module loads


def test_names_that_a_text_needs_itself_do_not_break_it() -> None:
    """A field `property`, a record `builtins`, parameters that are called as our own are: the module loads."""
    record = StructOf("builtins", (Field("property", Scalar("str")), Field("bytes", Scalar("bytes"))))
    names = ("bridge", "called", "NAMES", "Final", "Bridge")
    made = table(entry("sign", *(Parameter(each, Scalar("int"), None) for each in names), result=record))
    assert made.left_out == ()
    module: dict[str, Any] = {}
    exec(compile(stubs_python.module(made, 1), "stubs", "exec"), module)  # noqa: S102  # as whoever takes it does
    called: list[tuple[object, ...]] = []

    class Session:
        """Stands for the bridge and its stubs, and notes the arguments."""

        @property
        def stubs(self) -> Session:
            return self

        def handler(self, name: str) -> Any:  # noqa: ANN401  # a handler takes anything
            assert name == made.stubs[0].name

            def note(*arguments: object) -> None:
                called.append(arguments)

            return note

    module["NAMES"]["clerk.sign"](Session(), 1, 2, 3, 4, 5)
    assert called == [(1, 2, 3, 4, 5)]


def test_texts_of_a_manifest_are_values_whatever_they_hold() -> None:
    """P5: a default that looks like code is a string, in both languages."""
    said = "\"'`${process.exit()}\\\n\u2028</script>{}"
    made = table(entry("sign", Parameter("a", Scalar("str"), encode(said))))
    [function] = [each for each in ast.parse(stubs_python.module(made, 1)).body if isinstance(each, ast.FunctionDef)]
    assert ast.literal_eval(function.args.defaults[0]) == said
    assert "\n" not in stubs_javascript.literal(said)
    assert "\u2028" not in stubs_javascript.literal(said)


def test_two_records_of_one_name_and_different_fields_get_two_names() -> None:
    """And one that the text needs itself, or that a field has, gets another."""
    first, second = (StructOf("Label", (Field(name, Scalar("str")),)) for name in ("a", "bytes"))
    promise = StructOf("Promise", (Field("label", Scalar("bytes")),))
    made = table(entry("one", result=first), entry("two", result=second), entry("three", result=promise))
    text = stubs_python.module(made, 1)
    classes = [each for each in ast.parse(text).body if isinstance(each, ast.ClassDef)]
    assert [each.name for each in classes] == ["Label", "Promise_", "Label_"]
    assert "-> builtins.bytes: ..." in text
    assert "export interface Label_ {" in stubs_javascript.declarations(made)


def test_a_parameter_with_a_word_of_javascripts_gets_a_name_of_its_own() -> None:
    """Python's `new` and `new_` are two parameters in JavaScript too."""
    given_ = [Parameter(name, Scalar("str"), None) for name in ("new", "new_", "arguments", "plain")]
    [stub] = table(entry("sign", *given_)).stubs
    assert stubs_javascript.parameter_names(stub) == ("new__", "new_", "arguments_", "plain")
    assert not any(map(is_word, stubs_javascript.parameter_names(stub)))


def test_a_caller_without_the_ring_key_gets_sealed_values() -> None:
    """A10: the types say so, of results and of streams' items."""
    found: list[Any] = []
    for item in (None, Scalar("bytes")):
        sensitive = HandlerEntry(
            "secret", CODE, (), Scalar("bytes"), sensitive=True, idempotent=False, max_bytes=1, item=item
        )
        for core in (True, False):
            made = table_of([stub_of("clerk", sensitive, core=core)])
            found.append(stubs_python.Names(made).returned(made.stubs[0]))
    assert found == ["Promise[bytes]", "Promise[Sealed]", "Stream[bytes]", "Stream[Sealed]"]
