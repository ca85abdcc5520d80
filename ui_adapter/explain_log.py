"""Which rule stands behind a refusal in the log: where it is declared, and what to change.

May import: our actors' declaration and log, our messages. Invariant: pure; of a line nothing is shown but what the log
may hold: names, numbers, fixed sentences, and the path of a `sandbox.denied`.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from trollbridge.actors.broker.routing import MOST_STRIKES
from trollbridge.actors.serving.granting import WAITS
from trollbridge.messages.control import NoticeKind
from trollbridge.messages.vault import printable
from trollbridge.ui_adapter import explain_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from trollbridge.actors.app import App
    from trollbridge.actors.operations.log import Line
    from trollbridge.messages.grants import Grant

_RULED: Final = re.compile(r"(?P<method>[A-Za-z0-9_]{1,200}) rule (?P<rule>[0-9]{1,6})(?![0-9])")
"""The detail of a `call.refused`, as an honest server has it; a line is data of whoever told it."""
_HOSTILE: Final = "nothing in the declaration: look at the code of this member; the library's own client never does so"
_STRIKES: Final = f"each counts; the {MOST_STRIKES + 1}th costs it its link"


LONGEST_TEXT: Final = 1_000
"""Characters of one text of a line that are shown."""


_UNGRANTED: Final = "which is not granted to it"
"""How the cause of a `handler.failed` ends where a server calls what it is not granted."""


class Rule(NamedTuple):
    """What stands behind an event: the rule in words, and what to change."""

    says: str
    change: str


_PEER: Final = Rule(
    "an enclave or a host calls of its peers what it is granted, as a UI does",
    "add the handler to its list in App(grants=…), or take the call away",
)
RULES: Final[Mapping[str, Rule]] = {
    NoticeKind.UID_REFUSED: Rule(
        f"a UID calls one handler once, for the member that it was leased to; {_STRIKES}", _HOSTILE
    ),
    NoticeKind.RECORD_REFUSED: Rule(f"a record is whole, and holds what its sender may send; {_STRIKES}", _HOSTILE),
    NoticeKind.ENVELOPE_REFUSED: Rule(
        f"an envelope opens under its session, and its kind is one that the role sends; {_STRIKES}", _HOSTILE
    ),
    NoticeKind.SENDER_REFUSED: Rule(f"a member speaks in its own name, from its own process; {_STRIKES}", _HOSTILE),
    NoticeKind.REPLY_DROPPED: Rule("a reply needs a caller that waits for it", "nothing: its caller has left"),
    NoticeKind.JOIN_REFUSED: Rule(
        "a member proves the join token that the supervisor gave it, once", "nothing in the declaration"
    ),
    NoticeKind.MEMBER_REMOVED: Rule(
        "a member that does what it may not loses its link", "see the lines above that name it"
    ),
    "window.closed": Rule(
        "a UI that loads foreign code gives up what the core UI alone has, for as long as its process lives",
        "nothing, if it is meant to; code that is to have less than the UI is an extension",
    ),
    NoticeKind.CALL_LATE: Rule(
        "a call is not started once its deadline has passed", "give it more time with .within(seconds), or call less"
    ),
    NoticeKind.INCIDENT: Rule(
        "an exception that a handler does not declare tells its caller an incident's number only",
        "mend the handler, or raise a DeclaredError",
    ),
    NoticeKind.SANDBOX_DENIED: Rule(
        "a process reaches what its Sandbox declares and nothing else",
        "declare it as the line says, if it is to be had; `trollbridge run --learn` proposes the whole Sandbox",
    ),
    "errand.refused": Rule("an errand is one that the enclave's class declares, a few at a time", "see its cause"),
    "process.refused": Rule("a child tells the supervisor what its role may, as often as it may", _HOSTILE),
}
"""The rule behind each event that refuses something, but for those that a declaration decides."""


class Told(msgspec.Struct, frozen=True):
    """One refusal of a log, explained; as JSON, the names are the keys."""

    number: int
    """The line's, from 1 on."""
    event: str
    member: str
    told_by: str
    """Whose word it is; empty if it is the supervisor's own."""
    why: str
    detail: str
    rule: str
    where: str
    """Where the rule is declared."""
    change: str
    time: str = ""
    """When it was, in UTC; empty if the line tells no such time."""


class Refusals(msgspec.Struct, frozen=True):
    """All of a log, or of one line of it; as JSON, the names are the keys."""

    format: int
    refusals: tuple[Told, ...]


def explained(app: App, lines: Sequence[tuple[int, Line]]) -> Iterator[Told]:
    """Yield the explanation of each line that refuses something. `lines`: with their numbers."""
    for number, line in lines:
        found = _of_line(app, line)
        if found is not None:
            rule, where = found
            texts = (line.event, line.member, line.told_by, line.why, line.detail)
            yield Told(number, *map(_shown, (*texts, rule.says, where, rule.change, _moment(line.time))))


def _moment(seconds: float) -> str:
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))
    except (ValueError, OverflowError, OSError):  # a line is data
        return ""


def _shown(text: str) -> str:
    return printable(text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}…")


def _of_line(app: App, line: Line) -> tuple[Rule, str] | None:
    if line.event == NoticeKind.CALL_REFUSED:
        return _call(app, line)
    if line.event == NoticeKind.LEASE_REFUSED:
        return _lease(app, line)
    if line.event == NoticeKind.INCIDENT and line.why.endswith(_UNGRANTED):
        return _PEER, f"the grants of {line.told_by}"
    if line.event == "process.locked":
        asked = Rule(
            "a process runs only as well kept as the application asks", "accept less with least=…, or mend the machine"
        )
        return (asked, f"least=… of {line.member}, or of App(…)") if line.why else None
    rule = RULES.get(line.event)
    if rule is None:
        return None
    places = {NoticeKind.SANDBOX_DENIED: f"the sandbox of {line.member}", "window.closed": f"the code of {line.member}"}
    return rule, places.get(line.event, "the protocol")


def _call(app: App, line: Line) -> tuple[Rule, str]:
    match, where = _RULED.match(line.detail), f"the grants of {line.member}"
    if match is None:
        says = "a server tells which handler it has refused, and by which rule; this line names none"
        return Rule(says, "nothing in the declaration: look at what has written the log"), "the protocol"
    method, number = match["method"], int(match["rule"])
    if not number:
        says = f"{method} is marked core=True: only the core UI may call it"
        return Rule(says, "have the core UI call it"), "the handler's @handler(core=True)"
    server = next((child.service for child, _ in app.servers if child.member == line.told_by), line.told_by)
    grant = next((each for each in _grants(app, line.member) if each.rule == number), None)
    if grant is None or grant.handler != f"{server}.{method}":
        return Rule("the rule is not in this declaration any more", "explain it with the declaration that ran"), where
    if line.why == WAITS:
        change = (
            "have the core UI decide with bridge.approve(…), and the call made again; or grant it without approved()"
        )
        return Rule(explain_words.sentence(grant), change), f"{where}, rule {number}"
    change = f"if it is to pass, change {explain_words.code(grant)}, or add a rule"
    return Rule(explain_words.sentence(grant), change), f"{where}, rule {number}"


def _lease(app: App, line: Line) -> tuple[Rule, str]:
    where = f"the grants of {line.member}"
    if line.detail:
        return Rule("a member holds a bounded number of UIDs for one handler", _HOSTILE), "the protocol"
    granted = ", ".join(dict.fromkeys(each.handler for each in _grants(app, line.member))) or "nothing"
    says = f"a member is leased UIDs for what it is granted, and it is granted {granted}; {_STRIKES}"
    return Rule(
        says, "grant what it needs, if that is yours; the library's own client does not ask for anything else"
    ), where


def _grants(app: App, member: str) -> tuple[Grant, ...]:
    return next((grants for name, grants in app.grants.items() if name == member), ())
