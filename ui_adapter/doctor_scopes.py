"""What an application declares that its processes may reach, filled in for this user, and what is wrong with it.

May import: our actors and messages, the doctor's look at paths, our screen and wrapping. Invariant: nothing is started;
an actor's class is imported to read its `sandbox`, as its own process would import it, and an extension's never is.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final, TextIO

import msgspec

from trollbridge.messages.errors import DeclarationError
from trollbridge.messages.ids import Role
from trollbridge.messages.sandbox import NOTHING, Sandbox
from trollbridge.ui_adapter.doctor_paths import code_of, faults, over_code
from trollbridge.ui_adapter.screen import Screen
from trollbridge.ui_adapter.wrapping import rows, width, wrapped

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trollbridge.actors.app import App, Child

WIDE: Final = ("/etc", "/usr", "/var", "/home", "/root", "/tmp", "/opt", "/dev", "/run", "/boot", "/lib", "/bin")  # noqa: S108
"""Folders that everybody's things lie in."""
PRIVATE: Final = (".ssh", ".gnupg", ".aws", ".config", ".local/share/keyrings", ".password-store", ".mozilla")
"""What a home folder keeps that no application should be able to reach by the way."""


class Scope(msgspec.Struct, frozen=True):
    """What one process may reach, and how well it has to be kept."""

    member: str
    role: str
    least: str
    declared: bool
    """Whether it declares a sandbox; a UI that does not is not confined."""
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    exec: tuple[str, ...] = ()
    network: tuple[str, ...] = ()
    threads: bool = False
    warnings: tuple[str, ...] = ()
    """What looks too wide, or lets it change the application's own code."""
    faults: tuple[str, ...] = ()
    """What is not there, or not for this user."""


def scopes(app: App) -> tuple[Scope, ...]:
    """Return the scope of each declared process; raises `DeclarationError` for what cannot be loaded or filled in."""
    code = code_of(app, sys.path)
    return tuple(_scope(app, child, role, code) for child, role in app.children)


def _scope(app: App, child: Child, role: Role, code: Mapping[str, str]) -> Scope:
    home, declared = os.path.expanduser("~"), _declared(child, role)  # noqa: PTH111  # as the children are told
    try:
        found = (declared or NOTHING).resolved(dict(child.settings), home)
    except DeclarationError as error:
        msg = f"{child.member}: {error}"
        raise DeclarationError(msg) from None
    least = app.least(child.member, role).value
    confined = declared is not None or role is not Role.UI
    return Scope(
        child.member, role.value, least, confined,
        found.read, found.write, found.exec, found.network, found.threads,
        (*warnings(found, home), *over_code(found.write, code)), faults(found),
    )  # fmt: skip


def _declared(child: Child, role: Role) -> Sandbox | None:
    if child.sandbox is not None or role is Role.EXTENSION:
        return child.sandbox
    from trollbridge.actors.entry.child import load  # noqa: PLC0415  # needs Linux

    found: object = getattr(load(str(child.actor), tuple(sys.path)), "sandbox", None)
    if found is not None and not isinstance(found, Sandbox):
        msg = f"{child.actor}: its sandbox is a {type(found).__name__}, not a Sandbox(…)"
        raise DeclarationError(msg)
    return found


def warnings(sandbox: Sandbox, home: str) -> tuple[str, ...]:
    """Return one sentence for each entry of a resolved sandbox that looks too wide."""
    found = [
        f"{name}=[{path!r}] {why}"
        for name, paths in (("read", sandbox.read), ("write", sandbox.write))
        for path in paths
        if (why := _too_wide(path, home))
    ]
    if sandbox.exec:
        found.append("exec=[…] leaves the weaker list of system calls, so the level is partial at best")
    if "tcp" in sandbox.network:
        found.append("network=['tcp'] reaches every port; write tcp:PORT")
    return tuple(found)


def _too_wide(path: str, home: str) -> str:
    real = os.path.realpath(path)
    if real == os.path.realpath(home):
        return "is the whole home folder"
    if real in WIDE or real == "/":
        return "is a folder that everybody's things lie in"
    shown = [each for each in PRIVATE if _holds(real, os.path.realpath(os.path.join(home, each)))]  # noqa: PTH118
    if shown:
        return f"reaches ~/{shown[0]}"
    return ""


def _holds(folder: str, path: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def show(found: tuple[Scope, ...], stream: TextIO) -> None:
    """Write the scopes for people, as wide as the stream. Raises `OSError`."""
    screen, columns = Screen(stream), width(stream)
    for each in found:
        screen.heading(f"{each.member}: {each.role}, runs at least {each.least}")
        reaches = [(name, getattr(each, name)) for name in ("read", "write", "exec", "network")]
        table = [(name, ", ".join(entries)) for name, entries in reaches if entries]
        table += [("threads", "yes")] if each.threads else []
        nothing = [("reaches", "nothing" if each.declared else "everything that its user reaches")]
        for lines in rows(table or nothing, columns):
            for line in lines:
                screen.line(line)
        for symbol, texts in (("✗", each.faults), ("!", each.warnings)):
            for text in texts:
                first, *more = wrapped(text, columns - 4)
                screen.line(f"  {screen.paint(symbol, 'bad')} {first}")
                for line in more:
                    screen.line(f"    {line}")
