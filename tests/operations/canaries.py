"""An application that puts secrets wherever there is a place for one, and fails by them in each way that there is.

Run as `trollbridge run canaries:app` in this folder. The supervisor takes the words from `words.json` in the folder
that the variable TMPDIR names; the others are given them.
"""

from __future__ import annotations

import codecs
import contextlib
import json
import logging
import os
import select
import sqlite3
import sys
import time
import warnings
from collections.abc import Generator
from pathlib import Path
from typing import Final

from trollbridge.actors import App, Child, Files, Sandbox
from trollbridge.actors.handlers import handler
from trollbridge.enclave import EnclaveActor
from trollbridge.messages.errors import CallError, DeclaredError, TrollbridgeError
from trollbridge.messages.grants import Grant, Matching
from trollbridge.ui_adapter.bridge import Bridge, ExtensionActor, UiActor

PATIENCE: Final = 30.0
PLACE: Final = os.environ.get("TMPDIR", "")
WORDS: Final = {"words": Path(PLACE, "words.json").read_text("utf-8") if PLACE else "[]"}
FAILS: Final = (
    "value",
    "group",
    "chain",
    "key",
    "import",
    "encoding",
    "database",
    "assertion",
    "unicode",
    "os",
    "missing",
)


class Unwilling(DeclaredError):
    """The word is not welcome."""


def loud(word: str) -> None:
    """Say a word in every way that a process has."""
    print(word)  # noqa: T201
    print(word, file=sys.stderr)  # noqa: T201
    os.write(1, word.encode())
    os.write(2, word.encode())
    logging.getLogger("trollbridge").error("%s", word)
    logging.getLogger().critical(word)
    warnings.warn(word, stacklevel=1)


class Safe(EnclaveActor):
    """Fails by what it is told."""

    sandbox = Sandbox(write=("{place}/",))

    def __init__(self, place: str) -> None:
        """Take its folder."""
        super().__init__()
        self._place = place
        self._guest = 0

    @handler
    def echo(self, word: str) -> str:
        """Return it, and say it aloud."""
        loud(word)
        return word

    @handler(sensitive=True)
    def sealed(self, word: str) -> str:
        """Return it to the core."""
        return word

    @handler
    def refuse(self, word: str) -> None:
        """Refuse by it."""
        raise Unwilling(word)

    @handler
    def wrong(self, word: str) -> int:
        """Return what is not declared."""
        return word  # type: ignore[return-value]  # pyright: ignore[reportReturnType]  # on purpose

    @handler
    def fail(self, how: str, word: str) -> None:  # noqa: C901  # one way after the other
        """Raise something that has the word in it."""
        match how:
            case "value":
                raise ValueError(word)
            case "group":
                raise ExceptionGroup(word, [ValueError(word), KeyError(word)])
            case "chain":
                raise KeyError(word) from RuntimeError(word)
            case "key":
                raise KeyError({word: word})
            case "import":
                raise ImportError(word, name=word, path=word)
            case "encoding":
                codecs.lookup(word)
            case "database":
                raise sqlite3.OperationalError(word)
            case "assertion":
                raise AssertionError(word)
            case "unicode":
                word.encode("ascii" if word.isprintable() else "latin-1").decode("utf-16").encode("ascii")
            case "os":
                raise OSError(5, word)
            case _:
                Path(self._place, word.replace("/", "_").replace("\0", "_")[:50]).read_bytes()
        raise RuntimeError(word)

    @handler
    def stream(self, word: str, last: str) -> Generator[str, None, str]:
        """Yield it, and fail if the last word is to."""
        yield word
        yield word
        if last:
            raise ValueError(last)
        return word

    @handler
    def guarded(self, word: str) -> None:
        """Be refused by a condition."""

    @handler
    def hidden(self, word: str) -> None:
        """Be granted to nobody."""

    @handler
    def leave(self, pid: int) -> None:
        """Note the process that is about to fail."""
        self._guest = pid

    @handler
    def left(self) -> int:
        """Return that process, or 0 as long as there is none."""
        return self._guest

    @handler
    def end(self, word: str) -> None:
        """End with the word in hand."""
        self._place = word
        os.abort()


class Guest(ExtensionActor):
    """Foreign code that says what it is told."""

    def __init__(self, words: str) -> None:
        """Take the words."""
        super().__init__()
        self._words: list[str] = json.loads(words)

    def main(self, bridge: Bridge) -> int | None:
        """Say and send the words, and fail by one."""
        for word in self._words:
            loud(word)
            ask(bridge, "safe", "fail", "value", word)
            ask(bridge, "safe", "hidden", word)
        bridge.safe.leave(os.getpid()).get(timeout=PATIENCE)
        raise RuntimeError(self._words[0])


def ask(bridge: Bridge, member: str, method: str, *arguments: object) -> str:
    """Call, and return how it ended."""
    try:
        promise = getattr(getattr(bridge, member), method)(*arguments)
        return type(promise.get(timeout=PATIENCE)).__name__
    except (TrollbridgeError, AttributeError, TypeError, ValueError) as error:
        return getattr(error, "name", "") or type(error).__name__


class Console(UiActor):
    """Sends the words everywhere."""

    def __init__(self, words: str) -> None:
        """Take the words."""
        super().__init__()
        self._words: list[str] = json.loads(words)

    def main(self, bridge: Bridge) -> int | None:
        """Call everything with every word; print how the calls ended; then have the enclave die, and fail."""
        ends: dict[str, list[str]] = {}
        for word in self._words:
            name = f"{word.partition(':')[0]}.txt"
            calls: list[tuple[str, ...]] = [("safe", "fail", how, word) for how in FAILS]
            calls += [
                ("safe", each, word) for each in ("echo", "sealed", "refuse", "wrong", "guarded", "hidden", "none")
            ]
            calls += [
                ("safe", word, word),
                (word, word, word),
                ("safe", "echo", word, word),
                ("safe", "echo", word * 9999),
            ]
            calls += [("files", each, f"notes/{word}") for each in ("stat", "list", "make_folder", "remove", "begin")]
            calls += [("files", "stat", f"../{word}"), ("files", "rename", f"notes/{name}", f"notes/{word}")]
            for member, method, *arguments in calls:
                ends.setdefault(ask(bridge, member, method, *arguments), []).append(f"{member}.{method}")
            ends.setdefault(streamed(bridge, word, ""), []).append("safe.stream")
            ends.setdefault(streamed(bridge, word, word), []).append("safe.stream")
        print(json.dumps({kind: len(calls) for kind, calls in ends.items()}), flush=True)  # noqa: T201
        await_guest(bridge)
        epoch = bridge.epoch or 0
        ask(bridge, "safe", "end", self._words[0])
        bridge.wait_dismantled(epoch, PATIENCE)
        raise RuntimeError(self._words[0])


def await_guest(bridge: Bridge) -> None:
    """Wait until the extension's process has failed."""
    until = time.monotonic() + PATIENCE
    while not (pid := bridge.safe.left().get(timeout=PATIENCE)):
        if time.monotonic() > until:
            raise TimeoutError
    with contextlib.suppress(ProcessLookupError):
        guest = os.pidfd_open(pid)
        select.select([guest], [], [], PATIENCE)
        os.close(guest)


def streamed(bridge: Bridge, word: str, last: str) -> str:
    """Read a stream to its end, and return how it ended."""
    try:
        return f"{len([*bridge.safe.stream(word, last)])} items"
    except CallError as error:
        return type(error).__name__


app = App(
    ui=Child(Console, settings=WORDS),
    enclaves=[Child(Safe, settings={"place": f"{PLACE}/safe"})],
    hosts=[Files(write={"notes": f"{PLACE}/notes/"})],
    extensions=[Child(Guest, settings=WORDS)],
    grants={
        Console: [
            *(Safe.echo, Safe.sealed, Safe.refuse, Safe.wrong, Safe.fail, Safe.stream, Safe.left, Safe.end),
            Grant("safe.guarded").where(word=Matching("x")),
            *(f"files.{each}" for each in ("stat", "list", "make_folder", "remove", "rename", "begin")),
        ],
        Guest: [Safe.echo, Safe.fail, Safe.leave],
    },
)
