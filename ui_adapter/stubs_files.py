"""The files of `trollbridge stubs`: what one caller of an application may call, asked of the servers' classes.

May import: our actors and messages, what writes the texts. Invariants: nothing of the application is started, and no
module of an enclave or a host is imported here; a file that was not made here is never overwritten.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trollbridge.messages.errors import ActorNotLoadable, DeclarationError
from trollbridge.messages.ids import Role, member_id
from trollbridge.ui_adapter import stubs_javascript, stubs_python
from trollbridge.ui_adapter.manifests import manifest_of
from trollbridge.ui_adapter.stubs_table import stub_of, table_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from trollbridge.actors.app import App
    from trollbridge.messages.ids import MemberId
    from trollbridge.ui_adapter.manifests import Manifest
    from trollbridge.ui_adapter.stubs_table import Stub, Table

MADE: Final = "made by `trollbridge stubs`"
"""What the first line of each file says."""
_BY_THIS: Final = 200
"""Bytes of a file in which it says so."""


def texts(app: App, member: str | None, language: str) -> Mapping[str, str]:
    """Return the texts by the files' names, what is shown first."""
    caller = member or str(app.ui.member)
    role = next((role for child, role in app.children if child.member == caller), None)
    if role not in {Role.UI, Role.EXTENSION}:
        known = ", ".join(str(each.member) for each in (app.ui, *app.extensions))
        msg = f"{caller} has no bridge; there are {known}"
        raise DeclarationError(msg)
    table, extension = _table(app, caller, core=role is Role.UI), role is Role.EXTENSION
    name = f"{caller}_bridge"
    match language:
        case "javascript":
            return {f"{name}.mjs": stubs_javascript.module(table, None)}
        case "typescript":
            return {f"{name}.d.mts": stubs_javascript.declarations(table)}
        case _:
            described = stubs_python.interface(table, caller, extension=extension)
            return {f"{name}.pyi": described, f"{name}.py": stubs_python.runtime(extension=extension)}


def _table(app: App, caller: str, *, core: bool) -> Table:
    return table_of(_granted(manifest_of(app), app, member_id(caller), core=core))


def _granted(manifests: Mapping[str, Manifest], app: App, caller: MemberId, *, core: bool) -> Iterator[Stub]:
    """Yield a stub for each handler that is granted; what the application would not start with is an error here too."""
    for full_name in sorted(app.granted(caller)):
        member, _, method = full_name.partition(".")
        manifest = manifests[member]
        if manifest.error:
            raise ActorNotLoadable(manifest.error)
        found = next((each for each in manifest.handlers if each.entry.name == method), None)
        if found is None:
            known = ", ".join(each.entry.name for each in manifest.handlers) or "nothing"
            msg = f"grants name {full_name}, but {member} exports {known}"
            raise DeclarationError(msg)
        if found.core and not core:
            msg = f"grants let {caller} call {full_name}, which is for the core UI alone"
            raise DeclarationError(msg)
        yield stub_of(member, found.entry, core=core, doc=found.doc)


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Write the files; raises `OSError`, before any is written if one is there that was not made here."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in files:
        _check(folder / name)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")


def _check(path: Path) -> None:
    """Raise `OSError` if a file is there that this command has not made."""
    if path.exists():
        with path.open("rb") as file:
            if MADE.encode() not in file.read(_BY_THIS):
                raise FileExistsError(0, "it is there and was not made by this command; move it away", str(path))
