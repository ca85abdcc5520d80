"""The table of events: closed, said to people, the same as what the code writes, and published as a schema."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import pytest

from tests.architecture.trees import nodes_of, tree_of
from trollbridge.actors.operations import schema
from trollbridge.actors.operations.events import EVENTS
from trollbridge.actors.operations.log import Line, Log
from trollbridge.messages.control import NoticeKind
from trollbridge.messages.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

REPOSITORY: Final = Path(__file__).resolve().parents[2]
TABLE: Final = REPOSITORY / "actors" / "operations" / "events.py"
NAME: Final = re.compile(r"[a-z]+\.[a-z_]+")
TOLD: Final = {"actors/supervision/notices.py"}
"""Where the name of an event comes with a message: it is a `NoticeKind`."""


def calls(text: str) -> Iterator[ast.Call]:
    """Yield the calls of a file that write a line of the log."""
    for node in nodes_of(tree_of(text)) if ".line(" in text else ():
        match node:
            case ast.Call(func=ast.Attribute(attr="line", value=ast.Attribute(attr="_log" | "log"))):
                yield node
            case ast.Call(func=ast.Attribute(attr="line", value=ast.Name(id="log"))):
                yield node
            case _:
                pass


def named(text: str) -> set[str]:
    """Return the texts in a file that could name an event."""
    return {each for each in re.findall(r'"([^"\n]+)"', text) if NAME.fullmatch(each)}


def shipped() -> Iterator[tuple[str, str]]:
    """Yield name and text of each shipped file but the table itself."""
    for folder in ("actors", "enclave", "messages", "ui_adapter"):
        for path in sorted((REPOSITORY / folder).rglob("*.py")):
            if path != TABLE:
                yield str(path.relative_to(REPOSITORY)), path.read_text(encoding="utf-8")


def test_every_line_that_the_code_writes_has_its_row() -> None:
    """A55: names are stable, as no other can be written."""
    wrong: list[str] = []
    found = 0
    for name, text in shipped():
        for call in calls(text):
            found += 1
            match call.args[0]:
                case ast.Constant(value=str(event)):
                    wrong += [] if event in EVENTS else [f"{name}:{call.lineno}: {event}"]
                case _ if name not in TOLD:  # a variable: some text of the file names an event for it
                    wrong += [] if named(text) & set(EVENTS) else [f"{name}:{call.lineno}"]
                case _:
                    pass
    assert wrong == []
    assert found > 20
    assert {kind.value for kind in NoticeKind} <= set(EVENTS)


def test_every_row_is_an_event_that_the_code_can_write() -> None:
    """A55: no row for what never comes."""
    texts = set[str]().union(*(named(text) for _, text in shipped()))
    assert sorted(set(EVENTS) - texts) == []


def test_an_event_without_a_row_is_refused() -> None:
    """A55: a new one cannot slip in; nothing is written."""
    written: list[str] = []
    log = Log(written.append)
    for wrong in ("ring.spoilt", "", "Ring.sealed", "ring.sealed ", "ring.sealed\n"):
        with pytest.raises(UsageError):
            log.line(wrong, 1)
    assert (written, len(log.recent)) == ([], 0)


def test_every_row_speaks_to_people() -> None:
    """A55: one sentence of what it means, and what to do, without an end."""
    for name, event in EVENTS.items():
        assert NAME.fullmatch(name)
        assert re.fullmatch(r"[A-Z].+\.", event.means), name
        assert event.todo, name
        assert not event.todo.endswith("."), name
        assert len(event.means) <= 200, name
        assert len(event.todo) <= 200, name


def test_the_schema_is_published_as_it_is() -> None:
    """A55: `trollbridge log schema > actors/operations/log.schema.json` makes it anew."""
    published = REPOSITORY / "actors" / "operations" / "log.schema.json"
    assert published.read_text(encoding="utf-8") == schema.text()


def test_a_line_is_what_the_schema_says() -> None:
    """A55: by a checker that knows the few words that the schema uses; the type itself has the same fields."""
    written: list[str] = []
    log = Log(written.append)
    log.line("application.started", 0, member="supervisor", pid=1)
    log.line("process.ended", 1, member="vault", exit_code=3, expected=False, delay=0.5)
    log.line("process.ended", 1, member="vault", signal="SIGKILL", expected=None)
    made = json.loads(schema.text())
    assert [*made["properties"]] == [each.name for each in msgspec.structs.fields(Line)]
    for text in written:
        assert flaws(json.loads(text), made) == []
    line: dict[str, object] = json.loads(written[0])
    for wrong in (
        {**line, "event": "ring.spoilt"},
        {**line, "more": 1},
        {**line, "pid": "1"},
        {**line, "chain": str(line["chain"]).upper()},
        {name: value for name, value in line.items() if name != "seq"},
    ):
        assert flaws(wrong, made) != []


TYPES: Final[dict[str, tuple[type, ...]]] = {
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "null": (type(None),),
}


def flaws(line: Mapping[str, object], made: dict[str, dict[str, dict[str, object]]]) -> list[str]:
    """Return what of a line is not as the schema has it."""
    properties = made["properties"]
    found = [f"{name} is missing" for name in made["required"] if name not in line]
    for name, value in line.items():
        if name not in properties:
            found.append(f"{name} is not known")
        elif not any(fits(value, each) for each in kinds(properties[name])):
            found.append(name)
    return found


def kinds(rule: dict[str, object]) -> list[dict[str, object]]:
    """Return the rules of which one must hold."""
    either = rule.get("anyOf", [rule])
    return msgspec.convert(either, list[dict[str, object]])


def fits(value: object, rule: dict[str, object]) -> bool:
    """Return whether a value is as a rule has it."""
    known = {"type", "enum", "pattern", "minimum", "anyOf"}
    assert set(rule) <= known
    kind = TYPES[str(rule["type"])]
    if not isinstance(value, kind) or (isinstance(value, bool) and bool not in kind):
        return False
    among = rule.get("enum")
    return (
        (not isinstance(among, list) or value in among)
        and ("pattern" not in rule or re.search(str(rule["pattern"]), str(value)) is not None)
        and ("minimum" not in rule or float(str(value)) >= float(str(rule["minimum"])))
    )
