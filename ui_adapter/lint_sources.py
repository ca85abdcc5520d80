"""What an application's modules import and mention, read from their source; none of them is run.

May import: the standard library. Invariants: a module is found and parsed, never imported; only modules of the
application's own folders are read. What an extension's author wrote is data: source that cannot be read, is too long or
too deep costs what would have been told of it, and nothing else.
"""

from __future__ import annotations

import ast
import os
import re
import sys
import warnings
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MOST_MODULES: Final = 500
"""Modules that are read for one caller."""
LONGEST_SOURCE: Final = 2**21
"""Bytes of a module; a longer one is not read."""
MOST_PARTS: Final = 20
"""Names with dots between them that an import is followed by; a module that lies deeper is not looked for."""
LONGEST_CHAIN: Final = 1_000
"""Names with dots between them in a source that is parsed: Python's parser takes time with their number's square."""
LONGEST_NAME: Final = 255
"""Characters of a module from which names are taken; one of a longer name is not looked for."""
_DECLARES: Final = "App"
"""A call of this name is a declaration: what it mentions is granted, not called."""

_LINK: Final = re.compile(rb"[\w\x80-\xff\s\\]+")
"""What stands between two dots of a dotted name: the name, whitespace, the end of a line."""
_FRONT: Final = "trollbridge.ui_adapter."
_BASES: Final = frozenset({"AsyncUiActor", "Bridge", "ExtensionActor", "UiActor", "asyncio_front", "bridge"})
"""What of our front every caller needs, and which calls nothing by itself."""


class Source(NamedTuple):
    """One module, read."""

    imports: tuple[str, ...]
    """Full names, those that are needed by type checkers only left out."""
    mentions: frozenset[str]
    """Names that follow a dot, and texts that name something."""
    dynamic: bool
    """Whether it asks for attributes by names that it puts together."""
    peers: frozenset[tuple[str, str]]
    """Which class calls which handler of a peer, as `self.peers.notary.sign`: `("Clerk", "notary.sign")`."""


class Sources:
    """The application's modules by name."""

    def __init__(self, folders: Sequence[str]) -> None:
        """Take the folders in which the application's modules are looked for."""
        self._folders: Final = tuple(folders)
        self._read: Final[dict[str, Source | None]] = {}

    def read(self, module: str) -> Source | None:
        """Return a module; None if it is none of the application's, or cannot be read."""
        if module not in self._read:
            self._read[module] = self._parse(module)
        return self._read[module]

    def _parse(self, module: str) -> Source | None:
        path = _path(module, self._folders)
        if path is None:
            return None
        package = module if path.endswith("/__init__.py") else module.rpartition(".")[0]
        reader = _Reader(package)
        try:
            with open(path, "rb") as file:  # noqa: PTH123  # strings throughout, as the search path has them
                text = file.read(LONGEST_SOURCE + 1)
            if len(text) > LONGEST_SOURCE or _chained(text):
                return None
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # they quote the source
                reader.visit(ast.parse(text))
        except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):  # the last two: too deep
            return None
        return Source(
            tuple(dict.fromkeys(reader.imports)), frozenset(reader.mentions), reader.dynamic, frozenset(reader.peers)
        )

    def reached(self, module: str) -> dict[str, tuple[str, ...]]:
        """Return the modules that a module loads, itself first, each with the way to it; outside ones are named only.

        An import of a package's name stands for the package, or for a module in it.
        """
        found: dict[str, tuple[str, ...]] = {module: (module,)}
        waiting = [module]
        while waiting and len(found) < MOST_MODULES:
            current = waiting.pop(0)
            source = self.read(current)
            for name in source.imports if source else ():
                if name not in found:
                    found[name] = (*found[current], name)
                    waiting.append(name)
        return found

    def peers(self, module: str) -> frozenset[tuple[str, str, str]]:
        """Return what a module, and what it loads of the application, calls of peers: module, class, handler."""
        found = ((name, source) for name in self.reached(module) if (source := self.read(name)))
        return frozenset((name, *each) for name, source in found for each in source.peers)

    def helped(self, module: str) -> bool:
        """Return whether a module, or what it loads, has shipped code call the shipped servers' handlers for it."""
        names = [each.removeprefix(_FRONT) for each in self.reached(module) if each.startswith(_FRONT)]
        return any(each.partition(".")[0] not in _BASES for each in names)

    def called(self, module: str) -> frozenset[str] | None:
        """Return the names that a module, and what it loads of the application, mentions; None if that cannot be told.

        It cannot where the module is not the application's, or where attributes are asked for by computed names.
        """
        if self.read(module) is None:
            return None
        sources = [source for name in self.reached(module) if (source := self.read(name))]
        if any(each.dynamic for each in sources):
            return None
        return frozenset[str]().union(*(each.mentions for each in sources))


class _Reader(ast.NodeVisitor):
    def __init__(self, package: str) -> None:
        self._package = package
        self.imports: list[str] = []
        self.mentions: set[str] = set()
        self.dynamic = False
        self.peers: set[tuple[str, str]] = set()
        self._class = ""

    def visit_If(self, node: ast.If) -> None:
        """Leave out what is there for type checkers only."""
        if _name(node.test) == "TYPE_CHECKING":
            for each in node.orelse:
                self.visit(each)
            return
        self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        """Note modules, and the packages around them, which are loaded on the way."""
        for each in node.names:
            self.imports += _with_packages(each.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """Note the module, and what is taken from it, which may be a module too."""
        base = node.module or ""
        if node.level:
            parts = self._package.split(".")
            around = parts[: len(parts) - node.level + 1]
            base = ".".join([*around, *([base] if base else [])])
        if base and len(base) <= LONGEST_NAME:
            self.imports += [*_with_packages(base), *(f"{base}.{each.name}" for each in node.names)]

    def visit_Call(self, node: ast.Call) -> None:
        """Leave declarations out; see whether attributes are asked for by computed names."""
        name = _name(node.func)
        if name == _DECLARES:
            return
        if name == "getattr" and len(node.args) > 1 and not isinstance(node.args[1], ast.Constant):
            self.dynamic = True
        self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """Note what follows a dot, and calls of a peer."""
        self.mentions.add(node.attr)
        member = node.value
        if isinstance(member, ast.Attribute) and _is_peers(member.value):
            self.peers.add((self._class, f"{member.attr}.{node.attr}"))
        self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """Note in which class what follows stands: the outermost."""
        outer, self._class = self._class, self._class or node.name
        self.generic_visit(node)
        self._class = outer

    def visit_Constant(self, node: ast.Constant) -> None:
        """Note a text that names something: `"sign"`, `"notary.sign"`."""
        if isinstance(node.value, str):
            self.mentions.add(node.value.rpartition(".")[2])


def _chained(text: bytes) -> bool:
    """Return whether a source has more names with dots between them than `LONGEST_CHAIN`, in a row."""
    length = 0
    for each in text.split(b"."):
        length = length + 1 if _LINK.fullmatch(each) else 0
        if length > LONGEST_CHAIN:
            return True
    return False


def _is_peers(node: ast.expr) -> bool:
    """Return whether an expression is `self.peers`."""
    return isinstance(node, ast.Attribute) and node.attr == "peers" and _name(node.value) == "self"


def _name(node: ast.expr) -> str:
    """Return the last part of a dotted name; nothing for another expression."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _with_packages(name: str) -> list[str]:
    """Return a module and the packages around it, the outermost first, `MOST_PARTS` at most."""
    parts = name.split(".", MOST_PARTS)[:MOST_PARTS]
    return [".".join(parts[: n + 1]) for n in range(len(parts))]


def _path(module: str, folders: Sequence[str]) -> str | None:
    """Return the file of a module; a module that is named by its file is that file."""
    if module.endswith(".py"):
        return module if os.path.isfile(module) else None  # noqa: PTH113
    if not all(part.isidentifier() for part in module.split(".")):
        return None
    for folder in folders:
        base = os.path.join(folder, *module.split("."))  # noqa: PTH118
        for path in (f"{base}.py", f"{base}/__init__.py"):
            if os.path.isfile(path):  # noqa: PTH113
                return path
    return None


def application_folders() -> tuple[str, ...]:
    """Return the folders of the search path that are the application's: neither Python's nor a package's."""
    return tuple(_own(sys.path, (sys.prefix, sys.base_prefix)))


def _own(path: Sequence[str], prefixes: Sequence[str]) -> Iterator[str]:
    roots = tuple(os.path.realpath(each) for each in prefixes)
    for folder in (os.path.realpath(each) for each in path if each):
        python = any(folder.startswith(os.path.join(root, "lib")) for root in roots)  # noqa: PTH118
        ours = os.path.isdir(os.path.join(folder, "trollbridge"))  # noqa: PTH112, PTH118  # a development install
        if not python and not ours and not folder.endswith("-packages"):
            yield folder
