"""What an event of the log or an error means, which rule stands behind it, and what to do: for people who met its name.

May import: our actors' events, our errors, the rules behind refusals. Invariant: pure; no application is needed, and
nothing is said that its own table does not say.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Final

import msgspec

from trollbridge.actors.operations.events import EVENTS
from trollbridge.messages import errors
from trollbridge.messages.errors import TrollbridgeError, UsageError
from trollbridge.messages.vault import printable
from trollbridge.ui_adapter.explain_log import RULES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_REFUSED: Final = "`trollbridge explain MODULE:APP --log FILE` says which rule refused it, and what to change"
_FALLEN: Final = (
    "`not started`: call again once bridge.wait_sealed() returns, if the host comes back; `done`: do not, only the "
    "reply is lost; `unknown`: look at what the handler has done first, for nobody knows how far it came"
)
_TODO: Final[Mapping[type[TrollbridgeError], str]] = {
    errors.Refused: _REFUSED,
    errors.NotGranted: "add the handler to the caller's list in App(grants=…), or take the call away",
    errors.HandlerFailed: "look for its incident in the log, under handler.failed; or declare it with DeclaredError",
    errors.DeadlineExceeded: "give it more time with .within(seconds), or call less",
    errors.RingDismantled: _FALLEN,
    errors.ServerLost: _FALLEN,
    errors.Quarantined: "mend the handler, then have an operator restart its server: `trollbridge restart APP MEMBER`; "
    "`trollbridge status --json` lists what is in quarantine",
    errors.Overloaded: "wait for some replies before the next call",
}
"""What to do about an error beside what its own sentence says."""
_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "epoch": ("The number of a trust ring: each ring of an application has its own, and its own keys.", "nothing"),
    "heartbeat": (
        "The supervisor asks each process again and again whether it works; one that does not is hung, and killed.",
        "look at `trollbridge explain process.hung`; give a call that takes long its time with .within(seconds)",
    ),
    "outcome": ("What is known of a call whose server ended before the reply came: error.outcome.", _FALLEN),
    "quarantine": (
        "A call that was running at two ends of its server is answered without being run.",
        _TODO[errors.Quarantined],
    ),
}
"""Words that stand in lines, tables and errors, and are the name of neither: what each means, and what to do."""


class Meaning(msgspec.Struct, frozen=True):
    """What stands behind a name; as JSON, the names are the keys."""

    name: str
    severity: str
    """How grave it is, by the words of syslog; of an error, empty."""
    means: str
    rule: str
    """The rule behind a refusal, if it is one."""
    change: str
    """What to do, or to change."""


class Meanings(msgspec.Struct, frozen=True):
    """All that was asked for; as JSON, the names are the keys."""

    format: int
    meanings: tuple[Meaning, ...]


def meanings(name: str) -> tuple[Meaning, ...]:
    """Return what a name means: that of an event, of all events with this before their dot, of an error, or a word.

    Raises `UsageError` for any other, with the nearest ones.
    """
    word = (Meaning(name, "", _WORDS[name][0], "", _WORDS[name][1]),) if name in _WORDS else ()
    found = (*word, *(_event(each) for each in EVENTS if each == name or each.startswith(f"{name}.")))
    if found:
        return found
    error = _errors().get(name)
    if error is None:
        near = difflib.get_close_matches(name, [*EVENTS, *_errors(), *_WORDS], 3)
        close = f"; did you mean {' or '.join(near)}?" if near else ""
        msg = f"there is no event and no error {printable(name)!r}, and an application is named MODULE:APP{close}"
        raise UsageError(msg)
    return (_error(error),)


def _event(name: str) -> Meaning:
    event, rule = EVENTS[name], RULES.get(name)
    change = event.todo if rule is None or event.todo != "nothing" else rule.change
    return Meaning(name, event.severity.name.lower(), event.means, "" if rule is None else rule.says, change)


def _error(kind: type[TrollbridgeError]) -> Meaning:
    sentence = (kind.__doc__ or "").strip().splitlines()[0]
    return Meaning(kind.__name__, "", sentence, "", _TODO.get(kind, ""))


def _errors() -> dict[str, type[TrollbridgeError]]:
    return {each.__name__: each for each in _kinds(TrollbridgeError) if each.__module__ == errors.__name__}


def _kinds(kind: type[TrollbridgeError]) -> Iterator[type[TrollbridgeError]]:
    yield kind
    for each in kind.__subclasses__():
        yield from _kinds(each)
