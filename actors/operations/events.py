"""Every event that the supervisor's log may name: what it means, what to do about it, how grave it is.

May import: our messages. Invariant: the table is closed, and a name in it is stable: operators search for it.
"""

from __future__ import annotations

import enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Severity(enum.IntEnum):
    """How grave an event is, by the numbers of syslog (RFC 5424, section 6.2.1)."""

    CRITICAL = 2
    """The application ends, or works no more."""
    ERROR = 3
    """Something has failed that a person must look at."""
    WARNING = 4
    """Something was refused or ended that should not have come up; the application goes on."""
    NOTICE = 5
    """It is as it should be, and worth to know."""
    INFO = 6
    """A step on the way."""


class Event(NamedTuple):
    """What stands behind a name."""

    means: str
    todo: str
    """What a person is to do; as a rule nothing."""
    severity: Severity = Severity.INFO


_NOTHING: Final = "nothing"
_LINES_ABOVE: Final = "look at the lines before it: they say why"
_MEMBERS_CODE: Final = "look at the code of the member that it names: the library's own client never does so"

EVENTS: Final[Mapping[str, Event]] = MappingProxyType(
    {
        # The application.
        "application.started": Event("The supervisor of an application has started.", _NOTHING, Severity.NOTICE),
        "application.stopping": Event("The application stops; `why` says for whose sake.", _NOTHING, Severity.NOTICE),
        "application.stopped": Event(
            "The application has ended with this exit code; no process of it is left.",
            "nothing if the code is 0; else `trollbridge run --help` says what it means",
            Severity.NOTICE,
        ),
        "application.gave_up": Event(
            "The ring fell more often than the restart intensity allows; the application ends.",
            "look at the first death in this period: the last ones as a rule repeat it",
            Severity.CRITICAL,
        ),
        # The ring.
        "ring.forming": Event("The processes of a new ring are started.", _NOTHING),
        "ring.sealed": Event(
            "Every member has joined and nobody else can; the user interface may call.", _NOTHING, Severity.NOTICE
        ),
        "ring.dismantling": Event(
            "The ring falls: every call that is pending ends, every key is dropped.", _LINES_ABOVE, Severity.WARNING
        ),
        "ring.dismantled": Event(
            "Every process of the ring that must not survive is reaped; the next ring may be formed.",
            _NOTHING,
            Severity.NOTICE,
        ),
        "ring.restarting": Event(
            "The next ring is formed after `delay` seconds; `restart` says for which time within the period, and "
            "`detail` of how many.",
            "nothing, unless it goes on; then look at what ends",
            Severity.NOTICE,
        ),
        "ring.draining": Event(
            "New keys are due: new calls are held back until those in flight have ended.", _NOTHING, Severity.NOTICE
        ),
        "ring.drained": Event("No call is in flight any more, or the time for them is over.", _NOTHING),
        "rekey.due": Event("The declared time or number of calls for one set of keys is over.", _NOTHING),
        # Processes.
        "process.started": Event("A process of a member has been started.", _NOTHING),
        "process.locked": Event(
            "A process is locked, and `level` says how well the kernel keeps it.",
            "if `why` is not empty: `trollbridge doctor` says what the machine lacks",
        ),
        "process.failed": Event(
            "A process says that it cannot do its part, or that its code has failed: `why` says which, `detail` the "
            "exception's class, where it was raised, and the module that is missing, if one is.",
            "look at the place that `detail` names; standard error has the sentence for people",
            Severity.ERROR,
        ),
        "process.refused": Event(
            "A process told the supervisor what its role may not tell; it is killed.",
            _MEMBERS_CODE,
            Severity.ERROR,
        ),
        "process.hung": Event(
            "A process does not answer its heartbeat; it is killed.",
            "if it was stopped from outside (SIGSTOP, a debugger): do not; else look at what its handler does so long",
            Severity.ERROR,
        ),
        "process.killed": Event(
            "A process did not end in the time that it was given, and was killed.",
            "look at what it does when it is told to stop",
            Severity.WARNING,
        ),
        "process.ended": Event(
            "A process has ended, by an exit code or a signal; `expected` says whether it should.",
            "nothing if it was expected; else look at its code, or for SIGKILL at the machine's memory",
            Severity.NOTICE,
        ),
        "member.joined": Event("A member has joined the ring.", _NOTHING),
        "extension.joined": Event("An extension has its link, and may call what it is granted.", _NOTHING),
        "window.closed": Event(
            "A user interface is about to load foreign code, and has given up its ring key.",
            "nothing, if it is meant to; code that is to have less is an extension",
            Severity.NOTICE,
        ),
        # Supervision of hosts and extensions.
        "child.restarting": Event(
            "A host or an extension is started again within the ring, after `delay` seconds; `detail` is its group.",
            "nothing, unless it goes on; then look at what ends",
            Severity.NOTICE,
        ),
        "child.stopping": Event(
            "A host or an extension is asked to end, because of another one of its group, or by hand.", _NOTHING
        ),
        "child.not_started": Event(
            "A process of a host or an extension could not be started; it counts as a death of its.",
            "look at what the system lacks: `why` says",
            Severity.ERROR,
        ),
        "child.gone": Event(
            "A host or an extension that is not temporary has ended, and stays away until the next ring: its restart "
            "type, or that of its group, says so.",
            "nothing, if it has done its work; to have it started all the same: `trollbridge restart`",
            Severity.NOTICE,
        ),
        "extension.barred": Event(
            "Servers, not one host alone, have died at calls of this extension, three times in an hour: it is not "
            "started again until the application ends. `told_by` is the last; it is its word whose call it was.",
            "look at what the extension calls, and at the handler: the lines `call.suspected` name both",
            Severity.ERROR,
        ),
        "group.restarting": Event(
            "A group that had given up is started again, after `delay` seconds; `detail` is its name.",
            "look at what ends in it",
            Severity.WARNING,
        ),
        "group.gave_up": Event(
            "The children of the group in `detail` ended more often than its intensity allows: the rest of them are "
            "stopped, and the group above decides; above the topmost one the ring falls.",
            "look at the first death in this period: the last ones as a rule repeat it",
            Severity.ERROR,
        ),
        "start.timeout": Event(
            "A process that was started did not become ready in time.",
            "look at what its constructor, on_start or module does so long",
            Severity.ERROR,
        ),
        # Errands.
        "errand.started": Event("An enclave has a one-shot process at work.", _NOTHING),
        "errand.refused": Event("An errand was not started.", _LINES_ABOVE, Severity.WARNING),
        "errand.ended": Event("A one-shot process has ended.", _NOTHING),
        # What the broker and the servers notice.
        "uid.refused": Event(
            "A call came with a UID that is not valid, not its sender's, or used.", _MEMBERS_CODE, Severity.WARNING
        ),
        "lease.refused": Event(
            "A member asked for a handler that it is not granted.",
            "grant it, or take the call away: `trollbridge explain` says which line of the declaration decides",
            Severity.WARNING,
        ),
        "record.refused": Event("A record was malformed or not its sender's.", _MEMBERS_CODE, Severity.WARNING),
        "envelope.refused": Event(
            "An envelope did not open under its session, or was of a kind that its sender may not send.",
            _MEMBERS_CODE,
            Severity.WARNING,
        ),
        "sender.refused": Event(
            "Another process than the member's own spoke on its descriptor.", _MEMBERS_CODE, Severity.WARNING
        ),
        "reply.dropped": Event("A reply came for which nobody waits any more.", _NOTHING),
        "join.refused": Event("A process could not prove its join token.", _MEMBERS_CODE, Severity.WARNING),
        "link.lost": Event(
            "A member whose process lives has closed its link; it has moments to end. Of one that has ended, or whose "
            "ring falls, nothing is said.",
            _MEMBERS_CODE,
            Severity.WARNING,
        ),
        "member.removed": Event(
            "A member did too often what it may not, and lost its link.", _LINES_ABOVE, Severity.ERROR
        ),
        "call.late": Event(
            "A call came after its deadline and was not started.",
            "give it more time with .within(seconds), or call less",
        ),
        "call.refused": Event(
            "A grant's conditions, its rate or its approval forbade a call.",
            "`trollbridge explain MODULE:APP --log FILE` says which condition",
            Severity.WARNING,
        ),
        "handler.failed": Event(
            "A handler ended with an exception that it does not declare; its caller knows the incident's number only.",
            "look at the place in the code that `detail` names",
            Severity.ERROR,
        ),
        "sandbox.denied": Event(
            "The kernel refused what a handler tried.",
            "`detail` says what to add to its Sandbox, if it is meant to do so",
            Severity.WARNING,
        ),
        "notice.dropped": Event(
            "A process has told more of one kind within a minute than is written down; `detail` says how much was left "
            "out.",
            "look at its lines of this kind: what is left out is as a rule more of the same, or meant to hide them",
            Severity.WARNING,
        ),
        "grant.used": Event("In learn mode: a member has called this handler for the first time.", _NOTHING),
        # Outcomes.
        "call.suspected": Event(
            "A call was running when its server died; when it does so once more, it is quarantined.",
            "look at what the handler does with such arguments",
            Severity.WARNING,
        ),
        "call.quarantined": Event(
            "A call whose like has ended its server twice is answered without being run.",
            "mend the handler, then `trollbridge restart` its server: with that, and with the application, it ends",
            Severity.ERROR,
        ),
        "quarantine.cleared": Event(
            "An operator has a server restarted: as many calls as `detail` says are not in quarantine any more.",
            _NOTHING,
            Severity.NOTICE,
        ),
        # Operators.
        "operator.asked": Event(
            "Somebody had the application restart, take new keys or stop, over the operator's socket; `detail` says of "
            "which member, and what process asked.",
            _NOTHING,
            Severity.NOTICE,
        ),
        "operator.refused": Event(
            "A process that may not be an operator has connected to the operator's socket, and was not heard.",
            "find out what process `pid` is: one of the application's own has no reason to do so",
            Severity.WARNING,
        ),
        "operator.missed": Event(
            "A process had connected to the operator's socket, and had ended before it was heard; nothing was done.",
            "nothing, if a command has given up waiting; find out why the supervisor did not answer",
        ),
        # What others are told.
        "notify.failed": Event(
            "The service manager that started the application cannot be told how it is.",
            "see whether its socket is there, and may be written to by the application's user",
            Severity.WARNING,
        ),
        "metrics.failed": Event(
            "The file of figures cannot be written; the application goes on, and tries again.",
            "look at the folder's permissions and the room on its disk",
            Severity.WARNING,
        ),
        # The log itself.
        "log.rotated": Event(
            "The log goes on in a new file; `after` is the chain value that the file before it ends with.", _NOTHING
        ),
        "log.dropped": Event(
            "Lines were lost, as many as `detail` says: nobody read them, or there was no room for them.",
            "let somebody read standard error, or log to a file or to the journal",
            Severity.WARNING,
        ),
        "log.resumed": Event(
            "The log can be written again; for `delay` seconds it could not, for the reason in `why`.",
            "look at the room on the disk",
            Severity.WARNING,
        ),
        "log.mended": Event(
            "The file ended within a line, which was taken off: the machine or the application died as it wrote.",
            _NOTHING,
            Severity.NOTICE,
        ),
        "log.hindered": Event(
            "The log goes on, but it is not turned, or has no head to show where it ends: the system refuses a file.",
            "give the log a folder that the application's user may write to",
            Severity.WARNING,
        ),
        "log.altered": Event(
            "The file does not end where its head says: its end is missing, or another file is in its place.",
            "find out who has changed it; `trollbridge log verify` says where else it was",
            Severity.ERROR,
        ),
    }
)
"""Every event, by its name."""
