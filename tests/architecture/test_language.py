"""What the text of the tree must not contain: code that runs text, stray labels, reminders, machine paths, idle tests.

Shipped code and tests are read with `ast`; other rules look at every text file that git would track.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.architecture.trees import nodes_of, tree_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Plant = Callable[[Mapping[str, str]], Path]

REPOSITORY: Final = Path(__file__).resolve().parents[2]
SHIPPED: Final = ("messages", "actors", "enclave", "ui_adapter")

# Builtins that run what a string says (A56, P1).
RUNS_TEXT: Final = {"__import__", "compile", "eval", "exec"}
# Key derivations, and the two modules in which their labels may stand as literals.
DERIVATIONS: Final = {"blake2b", "blake2s", "HKDF", "HKDFExpand", "KBKDFHMAC", "derive", "hkdf"}
LABEL_MODULES: Final = {"messages/labels.py", "messages/noise.py"}
# The patterns do not match their own text.
REMINDER: Final = re.compile(r"\b(?:T[O]DO|F[I]XME|X[X]X|H[A]CK)\b")
MACHINE_PATH: Final = re.compile(r"(?<![\w.~/])/(?:w[o]rk|r[o]ot|h[o]me/\w+)/")
SWITCHES_OFF: Final = {"importorskip", "skip", "skipif", "skipIf", "skipTest", "skipUnless", "xfail"}
NOT_TRACKED: Final = {"build", "dist", "__pycache__", "trollbridge.egg-info"}  # and dot-folders but .ci and .github
TRACKED_DOT: Final = {".ci", ".github", ".editorconfig", ".gitattributes", ".gitignore"}


def _parsed(root: Path, *folders: str) -> Iterator[tuple[str, ast.Module]]:
    for folder in folders:
        for path in sorted(root.joinpath(folder).rglob("*.py")):
            yield path.relative_to(root).as_posix(), tree_of(path.read_text(encoding="utf-8"))


def _texts(root: Path) -> Iterator[tuple[str, str]]:
    """Return path and text of every file that git would track; what is not UTF-8 is no text."""
    for path in sorted(root.iterdir()):
        if path.name in NOT_TRACKED or (path.name.startswith(".") and path.name not in TRACKED_DOT):
            continue
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and not NOT_TRACKED & set(file.parts[len(root.parts) :]):
                try:
                    yield file.relative_to(root).as_posix(), file.read_text(encoding="utf-8")
                except UnicodeDecodeError:
                    continue


def running_text(root: Path) -> list[str]:
    """Return each mention of a builtin that runs text as code, called or not; a class's field of its name is none."""
    wrong: list[str] = []
    for path, tree in _parsed(root, *SHIPPED):
        fields = {id(each) for each in _fields(tree)}
        for node in nodes_of(tree):
            match node:
                case ast.Name(id=name) if name in RUNS_TEXT and id(node) not in fields:
                    wrong.append(f"{path}:{node.lineno}: {name}")
                case ast.Attribute(value=ast.Name(id="builtins" | "__builtins__"), attr=name) if name in RUNS_TEXT:
                    wrong.append(f"{path}:{node.lineno}: {name}")
                case ast.ImportFrom(module="builtins", names=names):
                    wrong += [f"{path}:{node.lineno}: {alias.name}" for alias in names if alias.name in RUNS_TEXT]
                case _:
                    pass
    return wrong


def _fields(tree: ast.Module) -> Iterator[ast.expr]:
    """Return the name of each annotated field of a class, where it is declared."""
    for node in nodes_of(tree):
        if isinstance(node, ast.ClassDef):
            yield from (each.target for each in node.body if isinstance(each, ast.AnnAssign))


def stray_labels(root: Path) -> list[str]:
    """Return each key derivation whose arguments hold a bytes literal of its own module, outside the label modules."""
    wrong: list[str] = []
    for path, tree in _parsed(root, *SHIPPED):
        if path in LABEL_MODULES:
            continue
        constants = _bytes_constants(tree)
        for node in nodes_of(tree):
            match node:
                case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in DERIVATIONS:
                    parts = [part for argument in (*node.args, *node.keywords) for part in ast.walk(argument)]
                    if any(_is_label(part, constants) for part in parts):
                        wrong.append(f"{path}:{node.lineno}: a label in {name}()")
                case _:
                    pass
    return wrong


def _bytes_constants(tree: ast.Module) -> set[str]:
    """Return the names that are bound to a bytes literal anywhere in `tree`."""
    names: set[str] = set()
    for node in nodes_of(tree):
        match node:
            case ast.Assign(targets=targets, value=ast.Constant(value=bytes())):
                names |= {target.id for target in targets if isinstance(target, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.Constant(value=bytes())):
                names.add(name)
            case _:
                pass
    return names


def _is_label(node: ast.AST, constants: set[str]) -> bool:
    """Tell whether `node` is a bytes literal that is not empty, or a name for one."""
    match node:
        case ast.Constant(value=bytes(value)):
            return value != b""
        case ast.Name(id=name):
            return name in constants
        case _:
            return False


def reminders(root: Path) -> list[str]:
    """Return each reminder of unfinished work."""
    return [
        f"{path}:{number}: {found.group()}"
        for path, text in _texts(root)
        for number, line in enumerate(text.splitlines(), 1)
        for found in REMINDER.finditer(line)
    ]


def machine_paths(root: Path) -> list[str]:
    """Return each path that exists on somebody's machine only."""
    return [
        f"{path}:{number}: {found.group()}"
        for path, text in _texts(root)
        for number, line in enumerate(text.splitlines(), 1)
        for found in MACHINE_PATH.finditer(line)
    ]


def switched_off_tests(root: Path) -> list[str]:
    """Return each way out of a test (skip, xfail), and each sleep; benchmarks are programs, and may sleep."""
    wrong: list[str] = []
    for path, tree in _parsed(root, "tests"):
        if path.startswith("tests/benchmarks/"):
            continue
        for node in nodes_of(tree):
            match node:
                case ast.Attribute(attr=name) if name in SWITCHES_OFF:
                    wrong.append(f"{path}:{node.lineno}: {name}")
                case ast.ImportFrom(module="pytest" | "unittest", names=names):
                    wrong += [f"{path}:{node.lineno}: {alias.name}" for alias in names if alias.name in SWITCHES_OFF]
                case ast.Attribute(value=ast.Name(id="time"), attr="sleep"):
                    wrong.append(f"{path}:{node.lineno}: time.sleep")
                case ast.ImportFrom(module="time", names=names):
                    wrong += [f"{path}:{node.lineno}: time.sleep" for alias in names if alias.name == "sleep"]
                case _:
                    pass
    return wrong


CHECKERS: Final = (running_text, stray_labels, reminders, machine_paths, switched_off_tests)


@pytest.mark.parametrize("checker", CHECKERS, ids=lambda checker: str(checker.__name__))
def test_the_tree_speaks_the_language(checker: Callable[[Path], list[str]]) -> None:
    """Nothing runs text as code, labels stand in one place, nothing is left open, no test is switched off (A56, P1)."""
    assert checker(REPOSITORY) == []


def test_every_kind_of_file_is_read() -> None:
    """The search covers code, documents, settings and scripts, and not what `make` makes."""
    read = {path for path, _ in _texts(REPOSITORY)}
    assert read >= {"Makefile", "pyproject.toml", "CHANGELOG.md", ".ci/run", ".github/SECURITY.md", "messages/aead.py"}
    assert not [path for path in read if path.startswith((".venv", "build", ".git/"))]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("eval('1')", "eval"),
        ("run = exec", "exec"),
        ("import builtins\nbuiltins.exec('')", "exec"),
        ("from builtins import eval as f", "eval"),
        ("__import__('os')", "__import__"),
        ("compile('', '', 'exec')", "compile"),
        ("class A:\n    run: object = exec", "exec"),
    ],
)
def test_code_that_runs_text_is_reported(planted: Plant, text: str, name: str) -> None:
    """Called, renamed or reached through builtins (A56, P1); a method or a field of the same name is not meant."""
    line = len(text.splitlines())
    assert running_text(planted({"actors/a.py": text})) == [f"actors/a.py:{line}: {name}"]
    harmless = "import re\nre.compile('')\nself.exec()\nclass A:\n    exec: tuple[str, ...] = ()"
    assert running_text(planted({"actors/a.py": harmless})) == []


@pytest.mark.parametrize(
    "text",
    [
        'blake2b(data, person=b"label")',
        'hashlib.blake2b(key=key, person=b"label" + name)',
        'LABEL = b"label"\nlabels.derive(LABEL, key)',
        'LABEL: Final = b"label"\nblake2b(key=key, salt=LABEL)',
        'HKDF(SHA256(), 32, salt=None, info=b"label")',
        'def f():\n    label = b"label"\n    return digest.blake2b(key, person=label)',
    ],
)
def test_a_stray_derivation_label_is_reported(planted: Plant, text: str) -> None:
    """As a literal, inside an expression, or by way of a constant; the label modules may."""
    assert len(stray_labels(planted({"messages/session.py": text}))) == 1
    assert stray_labels(planted({"messages/session.py": "", "messages/labels.py": text})) == []


def test_a_label_from_its_module_is_accepted(planted: Plant) -> None:
    """A derivation names the label of messages/labels.py, and may have an empty key."""
    text = 'OTHER = b"other"\nlabels.derive(labels.CHAIN, b"", epoch)\nblake2b(OTHERS, digest_size=32)'
    assert stray_labels(planted({"messages/session.py": text})) == []


@pytest.mark.parametrize("path", ["messages/a.py", "README.md", "Makefile", ".ci/run", ".github/workflows/ci.yml"])
@pytest.mark.parametrize("letters", ["todo", "fixme"])
def test_a_reminder_is_reported(planted: Plant, path: str, letters: str) -> None:
    """In every kind of file; inside another word, or in small letters, it is not one."""
    word = letters.upper()
    assert reminders(planted({path: f"one\n# {word}: later"})) == [f"{path}:2: {word}"]
    assert reminders(planted({path: f"{letters}\n{word}S"})) == []


@pytest.mark.parametrize(
    ("text", "found"), [("cd |work|main", "|work|"), ("'|root|.cache'", "|root|"), ("X=|home|ann|x", "|home|ann|")]
)
def test_a_machine_path_is_reported(planted: Plant, text: str, found: str) -> None:
    """A path of one machine, written here with bars for slashes; the same words inside another path are not meant."""
    assert machine_paths(planted({"README.md": text.replace("|", "/")})) == [f"README.md:1: {found.replace('|', '/')}"]
    assert machine_paths(planted({"README.md": "see net/work/x, ~/work/x, ./root/x and /var/root/x"})) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("@pytest.mark.skip\ndef test(): ...", "1: skip"),
        ("@pytest.mark.skipif(x, reason='')\ndef test(): ...", "1: skipif"),
        ("def test():\n    pytest.xfail('')", "2: xfail"),
        ("from pytest import skip", "1: skip"),
        ("x = pytest.importorskip('x')", "1: importorskip"),
        ("import time\ntime.sleep(1)", "2: time.sleep"),
        ("from time import sleep", "1: time.sleep"),
    ],
)
def test_a_test_that_is_switched_off_or_sleeps_is_reported(planted: Plant, text: str, found: str) -> None:
    """Every test runs, and waits for events with deadlines."""
    assert switched_off_tests(planted({"tests/test_a.py": text})) == [f"tests/test_a.py:{found}"]
    assert switched_off_tests(planted({"tests/test_a.py": "queue.get(timeout=5)\nbuffer.seek(0)"})) == []
