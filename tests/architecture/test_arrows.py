"""Who may import whom: the arrows between the four folders, no cycles, and what each folder may take from outside.

The rules stand as tables at the head; each checker reads a tree of files with `ast`, runs none of them, and is itself
tested on a small tree that breaks its rule.
"""

from __future__ import annotations

import ast
import graphlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest

from tests.architecture.trees import nodes_of, tree_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    Plant = Callable[[Mapping[str, str]], Path]

REPOSITORY: Final = Path(__file__).resolve().parents[2]

# Each folder, and the folders that it may import.
ARROWS: Final = {
    "messages": {"messages"},
    "actors": {"actors", "messages"},
    "enclave": {"enclave", "actors", "messages"},
    "ui_adapter": {"ui_adapter", "actors", "messages"},
}
# Each package of `actors` that is one end only, and the packages of `actors` whose code it may load: the broker holds
# nothing that could open a session, a client nothing that serves; "" is the folder's own modules.
ENDS: Final = {
    "isolation": {"isolation"},
    "processes": {"processes", "isolation"},
    "broker": {"broker", "processes"},
    "calling": {"calling", "processes", "isolation"},
    "serving": {"serving", "calling", "processes", "isolation", "outcomes", ""},
    "hosts": {"hosts", "serving", "isolation", ""},
}
# `messages` is functions of values: these two packages, and of the standard library nothing that reaches outside.
OUTSIDE_OF_MESSAGES: Final = {"cryptography", "msgspec"}
REACHES_OUTSIDE: Final = {
    *("asyncio", "concurrent", "multiprocessing", "queue", "sched", "selectors", "signal", "subprocess", "threading"),
    *("_thread", "ctypes", "fcntl", "mmap", "pathlib", "posix", "shutil", "sqlite3", "tempfile"),
    *("http", "select", "socket", "socketserver", "ssl", "urllib"),
    *("calendar", "datetime", "time", "zoneinfo"),
}
OF_OS: Final = {"urandom"}  # all that `messages` may use of os
# What handles keys at rest is loaded in the process of an enclave only (A2).
ENCLAVE_ONLY: Final = {"keyring", "pysequoia"}
# Decoders that can run code (A56, P1).
DESERIALISERS: Final = {"cloudpickle", "copyreg", "dill", "jsonpickle", "marshal", "pickle", "shelve"}
# Imports of what only a string names (A56, P5). `importlib.metadata` and `importlib.resources` load no code.
BY_NAME: Final = {"imp", "importlib", "pkgutil", "runpy", "zipimport"}
BY_NAME_HARMLESS: Final = {"importlib.metadata", "importlib.resources"}
BY_NAME_ALLOWED: Final = {
    # The lazy names of each package: a name of the package's own table, never one from outside.
    *(f"{folder}/__init__.py" for folder in ARROWS),
    # A child process loads the class that its own declaration names; the declaration comes from the application.
    "actors/entry/child.py",
    # `trollbridge run module:app` loads what the person typed.
    "ui_adapter/loading.py",
    # `bridge.load_plugin` loads what the UI's own code names, once that process holds no ring key any more.
    "ui_adapter/plugins.py",
}
# Every AEAD call lives in one module of under 100 lines.
AEAD_MODULE: Final = "messages/aead.py"
AEAD_LINES: Final = 100
AEAD_NAMES: Final = {
    *("AESCCM", "AESGCM", "AESGCMSIV", "AESOCB3", "AESSIV", "ChaCha20Poly1305"),
    *("Aead", "GCM", "SecretBox"),
}
AEAD_PREFIXES: Final = ("crypto_aead_", "crypto_secretbox")


class Import(NamedTuple):
    """One imported module, by its full name, and where it is imported."""

    place: str
    module: str
    name: str  # what is taken from it; empty if it is imported whole


class Module(NamedTuple):
    """One file of the four folders under its import name."""

    name: str
    path: str
    tree: ast.Module

    @property
    def folder(self) -> str:
        """The top-level folder of the file."""
        return self.path.partition("/")[0]


def modules(root: Path) -> list[Module]:
    """Parse the four folders under `root`."""
    found: list[Module] = []
    for folder in ARROWS:
        for path in sorted(root.joinpath(folder).rglob("*.py")):
            relative = path.relative_to(root)
            parts = relative.with_suffix("").parts
            name = ".".join(("trollbridge", *(parts[:-1] if parts[-1] == "__init__" else parts)))
            found.append(Module(name, relative.as_posix(), tree_of(path.read_text(encoding="utf-8"))))
    return found


def imports(module: Module, nodes: Iterable[ast.AST]) -> Iterator[Import]:
    """Return what `nodes` of `module` import; a relative import keeps its dots."""
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(f"{module.path}:{node.lineno}", alias.name, "")
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield Import(f"{module.path}:{node.lineno}", "." * node.level + (node.module or ""), alias.name)


def every_import(module: Module) -> Iterator[Import]:
    """Return the imports of `module` at any depth, those for type checkers too."""
    return imports(module, nodes_of(module.tree))


def at_module_level(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """Return the statements that run when the module is loaded: not those of functions, not those for type checkers."""
    for node in body:
        yield node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for field in ("body", "orelse", "finalbody"):
            if field == "body" and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                continue
            yield from at_module_level(getattr(node, field, []))
        for handler in getattr(node, "handlers", []):
            yield from at_module_level(handler.body)


def wrong_arrows(root: Path) -> list[str]:
    """Return each import that runs against the arrows, is relative, or uses a bare name of the four."""
    wrong: list[str] = []
    for module in modules(root):
        for found in every_import(module):
            first, _, rest = f"{found.module}.{found.name}".rstrip(".").partition(".")
            folder = rest.partition(".")[0]
            if first == "":
                wrong.append(f"{found.place}: a relative import")
            elif first in ARROWS:
                wrong.append(f"{found.place}: the bare name {first}")
            elif first == "trollbridge" and folder not in ARROWS[module.folder]:
                wrong.append(f"{found.place}: {module.folder} imports {folder or 'trollbridge whole'}")
    return wrong


def mixed_ends(root: Path) -> list[str]:
    """Return each import by which a package of `actors` would load another end's code, at module level."""
    known = {module.name for module in modules(root)}
    wrong: list[str] = []
    for module in modules(root):
        package = _package(module.name, known)
        if package not in ENDS:
            continue
        for found in imports(module, at_module_level(module.tree.body)):
            if not found.module.startswith("trollbridge.actors"):
                continue
            other = _package(f"{found.module}.{found.name}", known)
            if other not in ENDS[package]:
                wrong.append(f"{found.place}: {package} loads {other or 'what is in no package'}")
    return wrong


def _package(name: str, known: set[str]) -> str:
    """Return the package of `actors` that a module, or a name taken from one, belongs to; else nothing."""
    prefix = "trollbridge.actors."
    first, _, rest = name.removeprefix(prefix).partition(".")
    deep = any(each.startswith(f"{prefix}{first}.") for each in known)
    return first if name.startswith(prefix) and deep and (rest or f"{prefix}{first}" in known) else ""


def cycles(root: Path) -> list[str]:
    """Return one cycle of the imports at module level, if there is one."""
    all_modules = modules(root)
    names = {module.name for module in all_modules}
    graph: dict[str, set[str]] = {}
    for module in all_modules:
        targets = {
            next((name for name in (f"{found.module}.{found.name}", found.module) if name in names), "")
            for found in imports(module, at_module_level(module.tree.body))
        }
        graph[module.name] = targets - {""}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        cycle: list[str] = error.args[1]
        return [" → ".join(cycle)]
    return []


def reaching_outside(root: Path) -> list[str]:
    """Return what `messages` takes from outside beyond its allowance."""
    wrong: list[str] = []
    for module in modules(root):
        if module.folder != "messages":
            continue
        for found in every_import(module):
            first = found.module.partition(".")[0]
            if first in sys.stdlib_module_names:
                of_os = found.module == "os" and found.name in {"", *OF_OS}
                refused = first in REACHES_OUTSIDE or (first == "os" and not of_os)
            else:
                refused = first not in {"trollbridge", *OUTSIDE_OF_MESSAGES}
            if refused:
                wrong.append(f"{found.place}: messages imports {found.module} {found.name}".rstrip())
        for node in nodes_of(module.tree):
            match node:
                case ast.Attribute(value=ast.Name(id="os"), attr=attribute) if attribute not in OF_OS:
                    wrong.append(f"{module.path}:{node.lineno}: messages uses os.{attribute}")
                case _:
                    pass
    return wrong


def outside_the_enclave(root: Path) -> list[str]:
    """Return each import of a key-handling package outside `enclave`."""
    return [
        f"{found.place}: {found.module} belongs to enclave"
        for module in modules(root)
        if module.folder != "enclave"
        for found in every_import(module)
        if found.module.partition(".")[0] in ENCLAVE_ONLY
    ]


def code_loaders(root: Path) -> list[str]:
    """Return each import of a decoder that can run code, and each import by name outside the allow-list."""
    wrong: list[str] = []
    for module in modules(root):
        for found in every_import(module):
            first = found.module.partition(".")[0].removeprefix("_")
            if first in DESERIALISERS:
                wrong.append(f"{found.place}: the deserialiser {found.module}")
            harmless = {found.module, f"{found.module}.{found.name}"} & BY_NAME_HARMLESS
            if first in BY_NAME and not harmless and module.path not in BY_NAME_ALLOWED:
                wrong.append(f"{found.place}: import by name, with {found.module}")
    return wrong


def stray_aead(root: Path) -> list[str]:
    """Return each use of an AEAD outside its module, and that module if it outgrows its allowance."""
    wrong: list[str] = []
    for module in modules(root):
        if module.path == AEAD_MODULE:
            lines = len(root.joinpath(module.path).read_text(encoding="utf-8").splitlines())
            if lines >= AEAD_LINES:
                wrong.append(f"{module.path}: {lines} lines")
            continue
        for node in nodes_of(module.tree):
            match node:
                case ast.Name(id=name) | ast.Attribute(attr=name) | ast.alias(name=name):
                    last = name.rpartition(".")[2]
                    if last in AEAD_NAMES or last.startswith(AEAD_PREFIXES):
                        wrong.append(f"{module.path}:{node.lineno}: {last}")
                case _:
                    pass
    return wrong


CHECKERS: Final = (wrong_arrows, mixed_ends, cycles, reaching_outside, outside_the_enclave, code_loaders, stray_aead)


@pytest.mark.parametrize("checker", CHECKERS, ids=lambda checker: str(checker.__name__))
def test_the_tree_keeps_the_rule(checker: Callable[[Path], list[str]]) -> None:
    """The four folders import along the arrows only, and take nothing that they must not (A2, A56, P1, P5)."""
    assert modules(REPOSITORY), "nothing was parsed"
    assert checker(REPOSITORY) == []


def test_a_tree_that_keeps_every_rule_is_accepted(planted: Plant) -> None:
    """What the rules allow is not reported: the checkers do not simply refuse everything."""
    root = planted(
        {
            "messages/__init__.py": "def __getattr__(name):\n    import importlib\n",
            "messages/aead.py": "from cryptography.hazmat.primitives.ciphers.aead import AESGCM",
            "messages/ids.py": "import os, enum, msgspec\nos.urandom(16)\nfrom os import urandom",
            "messages/session.py": "from trollbridge.messages import aead, ids",
            "actors/broker/process.py": "import socket, pykka\nfrom trollbridge.messages.session import Session",
            "enclave/vault.py": "import pysequoia, trollbridge.messages.ids\nfrom trollbridge.actors import handlers",
            "ui_adapter/cli.py": "from importlib.metadata import version\nfrom trollbridge.actors import app",
        }
    )
    assert [checker(root) for checker in CHECKERS] == [[]] * len(CHECKERS)


@pytest.mark.parametrize(
    ("path", "text", "complaint"),
    [
        ("messages/a.py", "import trollbridge.actors.x", "messages/a.py:1: messages imports actors"),
        ("messages/a.py", "from trollbridge import ui_adapter", "messages/a.py:1: messages imports ui_adapter"),
        ("actors/a.py", "def f():\n    import trollbridge.enclave", "actors/a.py:2: actors imports enclave"),
        ("actors/a.py", "from trollbridge.ui_adapter import cli", "actors/a.py:1: actors imports ui_adapter"),
        ("enclave/a.py", "from trollbridge.ui_adapter import cli", "enclave/a.py:1: enclave imports ui_adapter"),
        (
            "ui_adapter/a.py",
            "if TYPE_CHECKING:\n import trollbridge.enclave",
            "ui_adapter/a.py:2: ui_adapter imports enclave",
        ),
        ("ui_adapter/a.py", "import trollbridge", "ui_adapter/a.py:1: ui_adapter imports trollbridge whole"),
        ("enclave/a.py", "from actors import broker", "enclave/a.py:1: the bare name actors"),
        ("enclave/a.py", "import messages.ids", "enclave/a.py:1: the bare name messages"),
        ("enclave/a.py", "from . import vault", "enclave/a.py:1: a relative import"),
        ("enclave/deep/a.py", "from ..vault import Vault", "enclave/deep/a.py:1: a relative import"),
    ],
)
def test_an_import_against_the_arrows_is_reported(planted: Plant, path: str, text: str, complaint: str) -> None:
    """The negative half of the arrows: at any depth, for type checkers too, bare and relative."""
    assert wrong_arrows(planted({path: text})) == [complaint]


@pytest.mark.parametrize(
    ("path", "text", "complaint"),
    [
        ("broker/process.py", "from trollbridge.actors.calling import client", "broker loads calling"),
        ("broker/process.py", "from trollbridge.actors.serving.mailbox import Mailbox", "broker loads serving"),
        ("broker/process.py", "import trollbridge.actors.calling.client", "broker loads calling"),
        ("calling/client.py", "from trollbridge.actors.serving.mailbox import Mailbox", "calling loads serving"),
        (
            "processes/end.py",
            "from trollbridge.actors.app import App",
            "processes loads what is in no package",
        ),
    ],
)
def test_an_end_that_loads_another_is_reported(planted: Plant, path: str, text: str, complaint: str) -> None:
    """The negative half: in whatever form it is imported; what only type checkers read is no load."""
    tree = {
        "actors/app.py": "",
        **{f"actors/{each}/__init__.py": "" for each in ("broker", "calling", "processes", "serving")},
        **{f"actors/{each}.py": "" for each in ("calling/client", "serving/mailbox", "processes/end")},
    }
    assert mixed_ends(planted({**tree, f"actors/{path}": text})) == [f"actors/{path}:1: {complaint}"]
    typed = f"from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    {text}"
    assert mixed_ends(planted({**tree, f"actors/{path}": typed})) == []


def test_a_cycle_at_module_level_is_reported(planted: Plant) -> None:
    """Two modules that load each other are one cycle, whatever statement the import stands in."""
    root = planted(
        {
            "messages/a.py": "try:\n    from trollbridge.messages import b\nexcept ValueError:\n    pass",
            "messages/b.py": "class B:\n    from trollbridge.messages.a import A",
        }
    )
    assert [set(cycle.split(" → ")) for cycle in cycles(root)] == [{"trollbridge.messages.a", "trollbridge.messages.b"}]


def test_imports_that_do_not_run_at_load_make_no_cycle(planted: Plant) -> None:
    """An import for type checkers, or inside a function, is no edge; the other branch of the check is one."""
    lazy = "if TYPE_CHECKING:\n    from trollbridge.messages import b\ndef f():\n    from trollbridge.messages import b"
    back = "from trollbridge.messages import a"
    assert cycles(planted({"messages/a.py": lazy, "messages/b.py": back})) == []
    eager = "if TYPE_CHECKING:\n    pass\nelse:\n    from trollbridge.messages import b"
    assert len(cycles(planted({"messages/a.py": eager}))) == 1


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("import socket", "messages/a.py:1: messages imports socket"),
        ("def f():\n    from time import monotonic", "messages/a.py:2: messages imports time monotonic"),
        ("import threading", "messages/a.py:1: messages imports threading"),
        ("import subprocess", "messages/a.py:1: messages imports subprocess"),
        ("from os import fork", "messages/a.py:1: messages imports os fork"),
        ("import os\nos.fork()", "messages/a.py:2: messages uses os.fork"),
        ("import os.path", "messages/a.py:1: messages imports os.path"),
        ("import pykka", "messages/a.py:1: messages imports pykka"),
    ],
)
def test_messages_that_reach_outside_are_reported(planted: Plant, text: str, complaint: str) -> None:
    """No process, no socket, no clock, no pykka in messages; of os only urandom."""
    assert reaching_outside(planted({"messages/a.py": text})) == [complaint]


@pytest.mark.parametrize("path", ["messages/a.py", "actors/a.py", "ui_adapter/a.py"])
def test_key_handling_outside_the_enclave_is_reported(planted: Plant, path: str) -> None:
    """Neither OpenPGP nor the keychain is loaded by a process that is no enclave (A2)."""
    root = planted({path: "def f():\n    import keyring.backends\n    from pysequoia import Cert"})
    assert outside_the_enclave(root) == [
        f"{path}:2: keyring.backends belongs to enclave",
        f"{path}:3: pysequoia belongs to enclave",
    ]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("import pickle", "actors/a.py:1: the deserialiser pickle"),
        ("def f():\n    from marshal import loads", "actors/a.py:2: the deserialiser marshal"),
        ("import _pickle", "actors/a.py:1: the deserialiser _pickle"),
        ("import shelve", "actors/a.py:1: the deserialiser shelve"),
        ("import importlib", "actors/a.py:1: import by name, with importlib"),
        ("from importlib import import_module, metadata", "actors/a.py:1: import by name, with importlib"),
        ("import runpy", "actors/a.py:1: import by name, with runpy"),
        ("from pkgutil import resolve_name", "actors/a.py:1: import by name, with pkgutil"),
    ],
)
def test_a_loader_of_code_is_reported(planted: Plant, text: str, complaint: str) -> None:
    """Decoders that can run code, and imports by name outside the allow-list (A56, P1, P5)."""
    assert code_loaders(planted({"actors/a.py": text})) == [complaint]


@pytest.mark.parametrize(
    ("path", "text", "name"),
    [
        ("messages/a.py", "from cryptography.hazmat.primitives.ciphers.aead import AESGCM as Cipher", "AESGCM"),
        (
            "enclave/a.py",
            "from cryptography.hazmat.primitives.ciphers import aead\naead.ChaCha20Poly1305",
            "ChaCha20Poly1305",
        ),
        ("actors/a.py", "from trollbridge.messages import aead\naead.AESGCM(key)", "AESGCM"),
        (
            "enclave/a.py",
            "import nacl.bindings\nnacl.bindings.crypto_aead_aegis256_encrypt",
            "crypto_aead_aegis256_encrypt",
        ),
        ("ui_adapter/a.py", "from cryptography.hazmat.primitives.ciphers.modes import GCM", "GCM"),
    ],
)
def test_an_aead_outside_its_module_is_reported(planted: Plant, path: str, text: str, name: str) -> None:
    """Imported, renamed or reached through another module: an AEAD is used in messages/aead.py alone."""
    line = len(text.splitlines())
    assert stray_aead(planted({path: text})) == [f"{path}:{line}: {name}"]


def test_an_aead_module_that_grows_is_reported(planted: Plant) -> None:
    """The one module of AEAD calls stays under 100 lines."""
    assert stray_aead(planted({AEAD_MODULE: "x = 1\n" * 99})) == []
    assert stray_aead(planted({AEAD_MODULE: "x = 1\n" * 100})) == ["messages/aead.py: 100 lines"]
