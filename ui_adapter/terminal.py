"""A plain terminal for any application: lists its handlers, calls them, shows replies and errors, line by line.

May import: our bridge, our screen, `messages`. Invariants: whatever is typed, the next prompt comes; a reply is shown
with nothing in it that could steer the terminal; the end of input ends the application.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any, ClassVar, Final

import pykka

from trollbridge.actors.calling.stream import Stream
from trollbridge.messages.errors import RingDismantled, StreamEnded, TrollbridgeError
from trollbridge.messages.vault import KEYCHAIN_ONLY, MODES, VOCABULARY
from trollbridge.ui_adapter import unlocking, words
from trollbridge.ui_adapter.bridge import Bridge, HandlerProxy, MemberProxy, UiActor
from trollbridge.ui_adapter.foreground import Foreground
from trollbridge.ui_adapter.screen import Screen

if TYPE_CHECKING:
    from collections.abc import Callable

    import msgspec

    from trollbridge.actors.calling.promise import Promise
    from trollbridge.messages.payloads import Progress

PROMPT: Final = "> "
GLANCE: Final = 0.1
"""Seconds between two looks whether Ctrl-C was pressed while a reply is awaited."""
RING: Final = 30.0
"""Seconds that a call waits for the next ring."""
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
HELP: Final = """\
handlers             what may be called, with types
members              who is in the ring
ENCLAVE.HANDLER ARGUMENT…
                     call; arguments as Python writes them: 5, "text", b"bytes", None, (1, 2), {"a": 1},
                     name=value; a word without quotes is text; @FILE is the content of a file as bytes
create ENCLAVE MODE  make a vault: keychain-and-password, password-only or keychain-only; the password is asked
                     for, or is the next line
unlock ENCLAVE MODE  the same, to open it
help                 this list
quit                 end, as the end of input does
Ctrl-C               gives up the call or the stream that is awaited, or the line"""


class Terminal(UiActor):
    """The UI `trollbridge.ui_adapter.terminal:Terminal`: it needs no code of the application's own."""

    vocabulary: ClassVar[tuple[type[msgspec.Struct], ...]] = VOCABULARY

    def main(self, bridge: Bridge) -> int:
        """Read lines until there are no more; return 0, or 1 if input is no terminal and a line failed."""
        screen = Screen(sys.stdout)
        with Foreground() as foreground:
            conversation = _Conversation(bridge, screen, foreground)
            if foreground.interactive:
                screen.line(
                    f"Epoch {bridge.epoch}: {len(dir_of(bridge))} handlers may be called; help lists what to type."
                )
            while (line := foreground.read(PROMPT)) is not None:
                if not conversation.take(line):
                    break
        return 0 if foreground.interactive else conversation.worst


def dir_of(bridge: Bridge) -> list[tuple[str, HandlerProxy]]:
    """Return every handler that may be called, by its full name, sorted."""
    enclaves = [each.member for each in bridge.members if each.role == "enclave"]
    found = [
        (f"{name}.{each}", getattr(getattr(bridge, name), each))
        for name in enclaves
        for each in dir(getattr(bridge, name))
    ]
    return sorted(found, key=lambda each: each[0])


def _progress(told: Progress | None) -> str:
    if told is None:
        return ""
    done = f"{told.done} of {told.total}" if told.total else str(told.done)
    return words.plain(f"… {done} {told.note}".rstrip())


class _Conversation:
    """What is typed, and what is answered."""

    def __init__(self, bridge: Bridge, screen: Screen, foreground: Foreground) -> None:
        self._bridge = bridge
        self._screen = screen
        self._foreground = foreground
        self.worst = 0

    def take(self, line: str) -> bool:
        """Answer one line; return whether to go on."""
        command, _, rest = line.strip().partition(" ")
        match command:
            case "" | "#":
                pass
            case "quit" | "exit":
                return False
            case "help" | "?":
                self._screen.line(HELP)
            case "handlers":
                self._handlers()
            case "members":
                self._screen.table([(str(each.pid), each.role, each.member) for each in self._bridge.members])
            case "create" | "unlock":
                self._try(lambda: self._password(command, rest.strip()))
            case _:
                self._try(lambda: self._call(command, rest))
        return True

    def _handlers(self) -> None:
        self._bridge.wait_sealed(RING)
        for name, proxy in dir_of(self._bridge):
            self._screen.line(f"{name}{proxy.signature}")

    def _try(self, act: Callable[[], object]) -> None:
        try:
            self._screen.line(words.shown(act()))
        except (TrollbridgeError, pykka.Timeout) as error:
            self.worst = 1
            self._screen.line(f"{self._screen.paint(type(error).__name__, 'bad')}: {words.plain(str(error))}")

    def _password(self, command: str, rest: str) -> object:
        enclave, _, mode = rest.partition(" ")
        vault = self._member(enclave)
        if mode not in MODES:
            msg = f"say in which mode: {command} {enclave} {', or '.join(MODES)}"
            raise words.NotUnderstood(msg)
        password = None if mode == KEYCHAIN_ONLY else self._foreground.read_secret("Password: ")
        if password is None and mode != KEYCHAIN_ONLY:
            msg = "without a password nothing is done"
            raise words.NotUnderstood(msg)
        if command == "create":
            return unlocking.create(vault, password, mode)
        unlocking.unlock(vault, password, mode)
        return None

    def _call(self, command: str, rest: str) -> object:
        enclave, _, handler = command.partition(".")
        if not _NAME.fullmatch(handler):
            msg = f"{command} is neither a command nor ENCLAVE.HANDLER; help lists what to type"
            raise words.NotUnderstood(msg)
        positional, named = words.arguments(rest)
        proxy = self._member(enclave)
        if not self._bridge.wait_sealed(RING):
            raise RingDismantled
        called: Promise[Any] | Stream[Any] = getattr(proxy, handler)(*positional, **named)
        return self._follow(called) if isinstance(called, Stream) else self._await(called)

    def _member(self, name: str) -> MemberProxy:
        proxy = getattr(self._bridge, name) if _NAME.fullmatch(name) else None
        if not isinstance(proxy, MemberProxy):
            msg = f"{name or 'nothing'} is not the name of an enclave; handlers lists what may be called"
            raise words.NotUnderstood(msg)
        return proxy

    def _follow(self, stream: Stream[Any]) -> object:
        """Show the items of a stream, and how far it has come, as they arrive; return its result."""
        told: Progress | None = None
        going = True
        while going:
            if self._foreground.interrupted:
                stream.cancel()
            try:
                self._screen.line(words.shown(stream.get(timeout=GLANCE)))
            except pykka.Timeout:
                pass
            except StreamEnded:
                going = False
            if stream.progress is not told:
                told = stream.progress
                self._screen.line(_progress(told))
        return self._await(stream.result)

    def _await(self, promise: Promise[Any]) -> object:
        while True:
            try:
                result: object = promise.get(timeout=GLANCE)
            except pykka.Timeout:
                if self._foreground.interrupted:
                    promise.cancel()
            else:
                return result
