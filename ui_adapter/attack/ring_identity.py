"""Identity, routing and parsing, as attacks: rows I1 to I8, P1 to P6 and A10 of the catalogue.

May import: the stage, the malformed words, and what a row is. Invariant: what is malformed is sent to the broker, the
target and the supervisor, never to an enclave of the application's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from trollbridge.messages.control import FROM_CHILD, TO_CHILD, Hello, Notice, NoticeKind, Seal
from trollbridge.messages.envelope import Kind
from trollbridge.ui_adapter.attack import hostile_words as words
from trollbridge.ui_adapter.attack.catalogue import Position
from trollbridge.ui_adapter.attack.ring_life import GONE, ended
from trollbridge.ui_adapter.attack.ring_stage import Lost, Met
from trollbridge.ui_adapter.attack.ring_trial import Row, row

if TYPE_CHECKING:
    from trollbridge.ui_adapter.attack.ring_stage import Stage
    from trollbridge.ui_adapter.attack.ring_trial import Run

EXTENSION: Final = Position.EXTENSION
UNHEARD: Final = "nobody hears it"
NOTHING: Final = "nothing inherited"
INVALID: Final = "InvalidArguments"
_NOTICE: Final = FROM_CHILD.encode(Notice(NoticeKind.INCIDENT, "ui", "an invented line"))


def _forked_ui(stage: Stage, _word: str) -> list[str]:
    start = len(stage.log)
    try:
        stage.ui("fork")
        stage.await_line("sender.refused", start=start, member=stage.cast.ui)
    except Met as met:
        return [f"no fork: {met.kind}"]
    except Lost:
        return ["the fork is not noticed"]
    return [UNHEARD]


def _forked_extension(stage: Stage, _word: str) -> list[str]:
    """Have the extension fork: the kernel ends it, or refuses the fork, or the broker does not listen to it."""
    start, member = len(stage.log), stage.cast.extension
    try:
        stage.extension("fork")
    except Met as met:
        return [f"no fork: {met.kind}"]
    except Lost:
        ends = stage.lines("process.ended", start=start, member=member)
        return [f"killed by {ends[0].signal}" if ends else "it does not come back"]
    stage.await_line("sender.refused", start=start, member=member)
    return [UNHEARD]


def _inherited(stage: Stage, _word: str) -> list[str]:
    found = stage.ui("inherit")
    return [NOTHING if not found else f"inherited {', '.join(found)}"]


def _claimed(*claims: dict[str, Any]) -> Run:
    """Send headers as the extension; `{ui}` and `{target}` stand for those names."""

    def run(stage: Stage, _word: str) -> list[str]:
        for each in claims:
            stage.extension("claim", fields={name: _named(stage, value) for name, value in each.items()})
        return []

    return run


def _named(stage: Stage, value: object) -> object:
    names = {"ui": stage.cast.ui, "target": stage.cast.target, "me": stage.cast.extension}
    return value.format(**names) if isinstance(value, str) else value


def _published(stage: Stage, _word: str) -> list[str]:
    stage.tell_extension("publish")
    return [ended(stage)]


def _one_answer(stage: Stage, word: str) -> list[str]:
    used, foreign = stage.ui("take", method="mark"), stage.extension("take", method="mark")
    stage.ui("call_under", method="mark", uid=used, arguments=["honest"])
    return [stage.ui("call_under", method="mark", uid=uid, arguments=[word]) for uid in (used, foreign, bytes(16))]


def _told(*said: bytes) -> Run:
    def run(stage: Stage, _word: str) -> list[str]:
        stage.tell_extension("control", said=list(said))
        return [ended(stage)]

    return run


def _sealed_records(things: tuple[bytes, ...]) -> Run:
    def run(stage: Stage, _word: str) -> list[str]:
        stage.extension("throw_sealed", things=list(things))
        return []

    return run


def _packets(things: tuple[bytes, ...]) -> Run:
    def run(stage: Stage, _word: str) -> list[str]:
        stage.extension("throw", things=list(things))
        return []

    return run


def _arguments(things: tuple[bytes, ...]) -> Run:
    def run(stage: Stage, _word: str) -> list[str]:
        found: list[str] = stage.extension("arguments", given=list(things))
        return found

    return run


def _contents(stage: Stage, _word: str) -> list[str]:
    found: list[str] = stage.extension("contents", given=list(words.CONTENTS))
    return found


def _endless(stage: Stage, _word: str) -> list[str]:
    stage.tell_extension("open_ended")
    return [ended(stage)]


def _loaders(stage: Stage, _word: str) -> list[str]:
    return [f"{stage.extension('request', names=list(words.LOADERS))} UIDs given"]


def _functions(stage: Stage, _word: str) -> list[str]:
    found: list[str] = stage.ui("functions")
    return found


_NO_FORK: Final = ("killed by SIGSYS", "no fork: PermissionError")
_LOGGED: Final = "refused and logged"
_GOES: Final = "the extension is ended; the ring is unchanged"

ROWS: Final[tuple[Row, ...]] = (
    row("I1.fork-of-the-ui", "have a fork of the UI speak on its link", "no fork, or nobody hears it",
        _forked_ui, fates=[UNHEARD, *_NO_FORK]),
    row("I1.program", "have a program that the UI starts look for descriptors", "no program, or it inherits none",
        _inherited, fates=[NOTHING, "PermissionError"]),
    row("I1.fork", "have a fork of the extension speak on its link", "no fork, or nobody hears it", _forked_extension,
        by=EXTENSION, fates=[UNHEARD, *_NO_FORK], last=True),
    row("I2.sender", "write the UI's, an enclave's, the broker's name as the sender", _LOGGED,
        _claimed({"sender": "{ui}"}, {"sender": "{target}"}, {"sender": "broker"}, {"sender": "supervisor"}),
        by=EXTENSION, logged=["sender.refused"], strikes=4),
    row("I2.route", "write a route into a header", _LOGGED, _claimed({"route": bytes(16)}),
        by=EXTENSION, logged=["sender.refused"]),
    row("I3.role", "send what only enclaves send: replies, to the UI and to itself", _LOGGED,
        _claimed({"kind": int(Kind.REPLY), "receiver": "{ui}"}, {"kind": int(Kind.REPLY), "receiver": "{me}"}),
        by=EXTENSION, logged=["envelope.refused"], strikes=4),
    row("I3.session", "found a session with the UI, with the broker, with itself", _LOGGED,
        _claimed(*({"kind": int(Kind.HANDSHAKE), "receiver": each} for each in ("{ui}", "broker", "{me}"))),
        by=EXTENSION, logged=["envelope.refused"], strikes=3),
    row("I3.publish", "publish handlers as an enclave does", _GOES, _published,
        by=EXTENSION, fates=[GONE], logged=["member.removed"], last=True),
    row("I3.log-line", "write a line into the supervisor's log", _GOES, _told(_NOTICE),
        by=EXTENSION, fates=[GONE], logged=["process.refused"], last=True),
    row("I4.look-alikes", "write ten names that look like others as the sender", _LOGGED,
        _claimed(*({"sender": each} for each in words.LOOKALIKES)),
        by=EXTENSION, logged=["sender.refused"], strikes=len(words.LOOKALIKES)),
    row("I5.in-place-of-the-enclave", "reply to the UI under the enclave's name", _LOGGED,
        _claimed({"kind": int(Kind.REPLY), "sender": "{target}", "receiver": "{ui}"}),
        by=EXTENSION, logged=["sender.refused"]),
    row("I6.oracle", "compare the refusals of a used, a foreign and a made-up UID", "all alike", _one_answer,
        logged=["uid.refused"], strikes=3),
    row("I8.hello-again", "say hello to the supervisor again", _GOES, _told(FROM_CHILD.encode(Hello())),
        by=EXTENSION, fates=[GONE], logged=["process.refused"], last=True),
    row("P1.records", "send pickles and source text as sealed records", _LOGGED + "; never run",
        _sealed_records(words.EXPLOSIVES), by=EXTENSION, logged=["record.refused"], strikes=4),
    row("P1.packets", "send pickles and source text as packets", _LOGGED + "; never run", _packets(words.EXPLOSIVES),
        by=EXTENSION, logged=["record.refused"], strikes=4),
    row("P1.arguments", "send pickles and source text as arguments", "refused; never run",
        _arguments((words.PICKLE, words.SOURCE)), by=EXTENSION, fates=[INVALID]),
    row("P1.supervisor", "send a pickle to the supervisor", _GOES, _told(words.PICKLE),
        by=EXTENSION, fates=[GONE], logged=["process.refused"], last=True),
    row("P2.packets", "send packets that no link has sealed", _LOGGED, _packets(words.PACKETS),
        by=EXTENSION, logged=["record.refused"], strikes=len(words.PACKETS)),
    row("P2.records", "send malformed records under the link's own key", _LOGGED, _sealed_records(words.STRANGE_FORMS),
        by=EXTENSION, logged=["record.refused"], strikes=len(words.STRANGE_FORMS)),
    row("P2.contents", "send contents that are no calls, sealed as they should be", _LOGGED, _contents,
        by=EXTENSION, logged=["envelope.refused"], strikes=2 * len(words.CONTENTS)),
    row("P3.giants", "send lengths of gigabytes and nesting without end", _LOGGED, _sealed_records(words.GIANTS),
        by=EXTENSION, logged=["record.refused"], strikes=len(words.GIANTS)),
    row("P3.endless", "send pieces of a content without end", _GOES, _endless,
        by=EXTENSION, fates=[GONE], logged=["member.removed"], last=True),
    row("P4.fields", "send unknown, abbreviated, missing and repeated fields", _LOGGED,
        _sealed_records(words.STRANGE_FIELDS), by=EXTENSION, logged=["record.refused"],
        strikes=len(words.STRANGE_FIELDS)),
    row("P4.arguments", "send arguments that are not what the handler takes", "refused", _arguments(words.ARGUMENTS),
        by=EXTENSION, fates=[INVALID]),
    row("P5.names", "ask for handlers that name a module, a function, a path", "none given, and logged", _loaders,
        by=EXTENSION, fates=["0 UIDs given"], logged=["lease.refused"], strikes=len(words.LOADERS)),
    row("P6.supervisor-words", "say to the supervisor what only the supervisor says", _GOES,
        _told(TO_CHILD.encode(Seal(()))), by=EXTENSION, fates=[GONE], logged=["process.refused"], last=True),
    row("A10.functions", "send a function, a class and a module as arguments", "refused before they are sent",
        _functions, fates=[INVALID]),
)  # fmt: skip
