"""No path that receives anything loads code: what the shipped source can import, evaluate or look up by a name."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

import trollbridge.actors
import trollbridge.messages

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOTS: Final = {
    "messages": Path(next(iter(trollbridge.messages.__path__))),
    "actors": Path(next(iter(trollbridge.actors.__path__))),
}
LOADERS: Final = {
    *("pickle", "_pickle", "cPickle", "marshal", "shelve", "copyreg", "dill", "cloudpickle", "yaml", "joblib"),
    *("importlib", "imp", "runpy", "pkgutil", "zipimport", "code", "codeop"),
}
RUNNERS: Final = {"eval", "exec", "compile", "__import__", "import_module", "loads", "globals", "vars", "locals"}
ALLOWED: Final = {
    ("actors/__init__.py", "importlib"): "lazy re-exports, of names that are written there",
    ("actors/__init__.py", "import_module"): "the same",
    ("actors/entry/child.py", "importlib"): "the actor that the supervisor's Boot names, before there is any ring",
    ("actors/entry/child.py", "import_module"): "the same",
    ("actors/reference.py", "importlib"): "metadata of the installed entry points, in the process of the declaration",
    ("messages/sandbox.py", "exec"): "the name of a field, where it is declared",
    ("messages/errors.py", "vars"): "the table of errors that travel, made once when it is imported",
}
DYNAMIC: Final = {
    "actors/__init__.py": "lazy re-exports, of names that are written there",
    "actors/serving/approving.py": "the handler of an Invocation, as in process_actor.py; the fields of its own types",
    "actors/entry/child.py": "the actor's class, by the supervisor's Boot",
    "actors/serving/grantable.py": "what a marked function offers for grants, by the names of functions written there",
    "messages/sandbox.py": "its own fields, by the names that stand there",
    "actors/process_actor.py": "the handler of an Invocation: a name of the manifest, never one that came in a message",
}


def sources() -> Iterator[tuple[str, ast.Module]]:
    """Yield each module of the receiving side: everything in messages and actors, at any depth."""
    for folder, root in ROOTS.items():
        for path in sorted(root.rglob("*.py")):
            yield f"{folder}/{path.relative_to(root).as_posix()}", ast.parse(path.read_text("utf-8"))


def mentions(tree: ast.Module) -> set[str]:
    """Return the loaders that a module imports and the runners that it names."""
    found: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                found |= {each.name.partition(".")[0] for each in names} & LOADERS
            case ast.ImportFrom(module=str(module), names=names):
                found |= {module.partition(".")[0]} & LOADERS
                found |= {each.name for each in names} & RUNNERS
            case ast.Attribute(value=ast.Name(id="re"), attr="compile"):
                continue
            case ast.Attribute(value=ast.Name(id="sandbox"), attr="exec"):
                continue  # what a declaration says
            case ast.Name(id=name) | ast.Attribute(attr=name) if name in RUNNERS:
                found.add(name)
            case _:
                pass
    return found


def looks_up(tree: ast.Module) -> bool:
    """Return whether a module gets or sets an attribute by a name that is not written in it."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="getattr" | "setattr"), args=[_, ast.Constant(), *_]):
                continue
            case ast.Call(func=ast.Name(id="getattr"), args=[_, ast.Name(id=name), *_]) if name.isupper():
                continue
            case ast.Call(func=ast.Name(id="setattr"), args=[_, ast.Name(id=name), *_]) if name.strip("_").isupper():
                continue
            case ast.Call(func=ast.Name(id="getattr"), args=[_, ast.Name(id=name), *_]) if name.strip("_").isupper():
                continue
            case ast.Call(func=ast.Name(id="getattr" | "setattr")):
                return True
            case _:
                pass
    return False


def test_nothing_that_receives_can_load_code() -> None:
    """A56, P5: every import of a loader and every call of a runner is one of these, each for its reason."""
    found = {(path, name) for path, tree in sources() for name in mentions(tree)}
    assert found <= set(ALLOWED)
    assert ("actors/entry/child.py", "import_module") in found


def test_no_attribute_is_looked_up_by_a_name_that_came_in_a_message() -> None:
    """A56, P5: a name that is not written in the source is used in these modules only, each for its reason."""
    assert {path for path, tree in sources() if looks_up(tree)} == set(DYNAMIC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import pickle", {"pickle"}),
        ("import importlib.util", {"importlib"}),
        ("from importlib import import_module", {"importlib", "import_module"}),
        ("from marshal import loads", {"marshal", "loads"}),
        ("x = eval('1')", {"eval"}),
        ("builtins.exec(x)", {"exec"}),
        ("self.exec(x)", {"exec"}),
        ("sandbox.exec", set[str]()),
        ("json.loads(x)", {"loads"}),
        ("import json", set[str]()),
        ("re.compile(x)", set[str]()),
    ],
)
def test_the_search_finds_what_it_is_for(text: str, expected: set[str]) -> None:
    """A56: the negative half."""
    assert mentions(ast.parse(text)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("getattr(x, name)", True),
        ("setattr(x, name, 1)", True),
        ("getattr(x, 'y')", False),
        ("getattr(x, _MARK)", False),
    ],
)
def test_the_search_tells_names_that_are_written_from_names_that_came(text: str, *, expected: bool) -> None:
    """A56: the negative half."""
    assert looks_up(ast.parse(text)) is expected


def test_every_module_of_the_receiving_side_is_looked_at() -> None:
    """A56: the corpus is whole."""
    assert len(list(sources())) >= 45
