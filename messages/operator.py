"""What an operator and a running supervisor say to each other, over the operator's socket (`SPEC.md`, section 21).

May import: `msgspec`, our messages. Invariant: two closed unions, one for each direction; a request that is not in
`Request` is `Malformed`. Three requests change something (`CHANGING`); no answer carries a secret.
"""

from __future__ import annotations

import re
from typing import Annotated, Final, TypeAlias

import msgspec

from trollbridge.messages.codec import Codec
from trollbridge.messages.errors import DeclarationError
from trollbridge.messages.measures import MemberMeasure

MOST_RECENT: Final = 1000
"""Lines of the log that a supervisor keeps for who asks."""
MOST_CLIENTS: Final = 8
"""Connections that a supervisor keeps open at a time."""
MOST_FOLLOWERS: Final = 6
"""Of these, how many may follow the log: they stay, and the others are for who asks for something."""
NO_PLACE: Final = f"{MOST_CLIENTS} others are connected"
FOLLOWED: Final = f"{MOST_FOLLOWERS} others follow the log"
"""Why a `Denied` denies a connection, and why a `Follow`."""
MOST_QUARANTINED: Final = 256
"""Calls in quarantine that a supervisor tells of."""
LARGEST_REQUEST: Final = 256
"""Bytes of one request."""
LARGEST_ANSWER: Final = 192 * 1024
"""Bytes of one answer."""
APPLICATION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)
"""The name of a running application: that of its folder too, so no dot at its head and no slash."""


class _Struct(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    pass


# Requests.


class Status(_Struct, frozen=True, tag=1):
    """Ask how the application is; answered by a `Snapshot`."""


class Recent(_Struct, frozen=True, tag=2):
    """Ask for the last lines of the log; answered by a `LogLine` for each, the oldest first, then a `Done`."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST_RECENT)]


class Follow(_Struct, frozen=True, tag=3):
    """Ask for the log as it is written; answered by a `LogLine` for each of the last lines, then a `Done`.

    Then there is a `LogLine` for each line as it is written: none is left out in between, and none comes twice.
    """

    recent: Annotated[int, msgspec.Meta(ge=0, le=MOST_RECENT)] = 0


class Measure(_Struct, frozen=True, tag=4):
    """Ask what the broker has counted; answered by `Measures`."""


class Restart(_Struct, frozen=True, tag=5):
    """Have a member started anew, or the whole ring if it names none; answered by a `Done` once it is on its way."""

    member: Annotated[str, msgspec.Meta(max_length=32)] = ""


class Rekey(_Struct, frozen=True, tag=6):
    """Have the ring formed anew under new keys, without losing a call; answered by a `Done` once it is on its way."""


class Stop(_Struct, frozen=True, tag=7):
    """Have the application stopped in good order, as by SIGTERM; answered by a `Done` once it is on its way."""


# Answers.


class ProcessState(_Struct, frozen=True):
    """One process of the application, the supervisor included."""

    member: str
    role: str
    group: str
    """The group that it is supervised in; empty: directly by the application."""
    pid: int
    """0: the member has no process now."""
    incarnation: int
    """How often a process has been started for this member."""
    state: str
    """`starting`, `running`, `stopping`, `stopped` (by a signal), `away`."""
    level: str
    """How well the kernel keeps it; empty if that is not known yet."""
    since: float
    """When it was started, in seconds since 1970."""
    restarts: int
    """How often it was started again within the period that its supervisor counts."""
    rss: int
    """Bytes of memory that it holds."""
    cpu: int
    """Clock ticks of processor time that it has used."""
    ended: str
    """How its last process ended, such as `exit code 70`; empty while it has one, or if none has ended."""


class QuarantinedCall(_Struct, frozen=True):
    """A call that is not run again until an operator has its server restarted."""

    handler: str
    """Its full name."""
    caller: str
    """Whose it was when its server died last; the server's word, `?` if that cannot be."""
    since: float
    """When that was, in seconds since 1970."""


class Snapshot(_Struct, frozen=True, tag=1):
    """How the application is now."""

    name: str
    pid: int
    """The supervisor's."""
    started: float
    """When the supervisor was started, in seconds since 1970."""
    state: str
    """The ring's: `forming`, `sealed`, `dismantling`, `dismantled`."""
    epoch: int
    since: float
    """When the ring came into this state, in seconds since 1970."""
    fell: str
    """Why the last ring was dismantled; empty if none was."""
    restarts: int
    """How often the ring was formed again after a failure, within `period` seconds."""
    most: int
    """With how many of those the application gives up."""
    period: float
    level: str
    """The lowest level of the processes that the application asks the kernel to keep."""
    seq: int
    """The number of the log's last line."""
    chain: str
    """The last value of the log's chain, in hexadecimal."""
    processes: tuple[ProcessState, ...]
    quarantine: tuple[QuarantinedCall, ...] = ()
    """The latest, at most `MOST_QUARANTINED`."""
    dropped: int = 0
    """Lines of the log that could not be written where it goes."""
    waiting: int = 0
    """Lines that wait to be written there; they are lost if nobody takes them before the application ends."""


class LogLine(_Struct, frozen=True, tag=2):
    """One line of the log as it was written, JSON, without its newline."""

    line: str


class Measures(_Struct, frozen=True, tag=3):
    """What the broker has counted since the ring of this epoch began to form."""

    epoch: int
    measures: tuple[MemberMeasure, ...]


class Done(_Struct, frozen=True, tag=4):
    """What was asked for is done, or on its way."""


class Denied(_Struct, frozen=True, tag=5):
    """What was asked for cannot be; one sentence says why."""

    why: str


Request: TypeAlias = Status | Recent | Follow | Measure | Restart | Rekey | Stop
Answer: TypeAlias = Snapshot | LogLine | Measures | Done | Denied
CHANGING: Final = (Restart, Rekey, Stop)
"""The requests that change something; every other only reads."""


def application_name(text: str) -> str:
    """Return `text` as the name of a running application; raises `DeclarationError`."""
    if type(text) is not str or not APPLICATION.fullmatch(text):
        msg = f"{text!r} names no application: a letter or digit, then at most 63 letters, digits, dots, - or _"
        raise DeclarationError(msg)
    return text


REQUEST: Final[Codec[Request]] = Codec(Request)
ANSWER: Final[Codec[Answer]] = Codec(Answer)
