"""What the supervisor and its children say to each other, over the one descriptor that a child inherits.

May import: `msgspec`, our messages. Invariant: two closed unions, one for each direction; a message that is not in
the receiver's union is `Malformed`. Join tokens pass here once and nowhere else; no `repr` shows one.
"""

from __future__ import annotations

import enum
from typing import Annotated, Final, TypeAlias

import msgspec

from trollbridge.messages.codec import Codec
from trollbridge.messages.error_codes import Outcome
from trollbridge.messages.grants import Grant
from trollbridge.messages.measures import MemberMeasure
from trollbridge.messages.posture import Evidence, Posture
from trollbridge.messages.sandbox import Sandbox

Token = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]


class _Quiet(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    def __repr__(self) -> str:
        """Show the type only: some of these carry tokens."""
        return f"<{type(self).__name__}>"


class SessionTicket(_Quiet, frozen=True):
    """The join token of one session; `grants` say which methods of the server the client may call, and how.

    The client's copy has one plain grant for each method: it does not learn how.
    """

    client: str
    client_role: str
    server: str
    server_role: str
    token: Token
    grants: tuple[Grant, ...]
    service: str = ""
    """Under which name the handlers of the server are called, if it is a replica of the member of that name."""

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods that are granted, each once."""
        return tuple(dict.fromkeys(each.method for each in self.grants))


class Granted(_Quiet, frozen=True):
    """What one caller may call of the server that is told; `role` is the caller's."""

    client: str
    role: str
    grants: tuple[Grant, ...]


class MemberRecord(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Who is in the ring: for the table that people see."""

    member: str
    role: str
    pid: int


class Boot(_Quiet, frozen=True, tag=1):
    """The first message: who the child is. The end of its link comes with it as a descriptor (none for the broker)."""

    member: str
    role: str
    actor: str
    settings: tuple[tuple[str, str], ...]
    path: tuple[str, ...]
    sandbox: Sandbox | None = None
    """What the declaration lets it reach; None: what its class says (an extension's class is not asked)."""
    home: str = ""
    """What `~` in a sandbox stands for."""
    learn: str = ""
    """In learn mode, a folder for the files of enclaves that keep secrets; empty: be locked."""
    memory: int = 0
    """Bytes of address space that an extension may have; of nobody else it is looked at."""
    service: str = ""
    """The member whose replica it is, if it is one of another's."""


class Join(_Quiet, frozen=True, tag=2):
    """Join the ring of this epoch. A member that keeps its process gets the end of its new link with it."""

    epoch: int
    token: Token
    tickets: tuple[SessionTicket, ...]
    granted: tuple[Granted, ...] = ()
    """To a server: what anybody is granted of it, extensions included, so that it can refuse what cannot be."""
    key: bytes = b""
    """To a server: the application's key for the digests of calls (32 bytes)."""
    quarantined: tuple[bytes, ...] = ()
    """To a server: the digests of the calls that it is not to run."""


class OpenLink(_Quiet, frozen=True, tag=3):
    """To the broker: a member may join over the descriptor that comes with this."""

    epoch: int
    member: str
    role: str
    pid: int
    token: Token
    handlers: tuple[str, ...]
    """Full names of the handlers that it may call."""
    peers: tuple[str, ...]
    """The members that it may hold sessions with."""
    service: str = ""
    """As in a ticket: whose replica it is."""


class Seal(_Quiet, frozen=True, tag=4):
    """Every member has joined; nobody else can."""

    members: tuple[MemberRecord, ...]
    postures: tuple[Posture, ...] = ()
    """How each process is kept; for the UI only."""


class Admit(_Quiet, frozen=True, tag=5):
    """To a server, once the ring is sealed: an extension, a host that has come back, or who calls that, may join it."""

    ticket: SessionTicket


class Dismantle(_Quiet, frozen=True, tag=6):
    """The ring falls: fail what is pending, forget all keys."""

    reason: str
    died: str
    """The member whose unexpected death it was, or empty."""


class Ping(_Quiet, frozen=True, tag=7):
    """Ask a child whether it is there."""

    number: int


class Stop(_Quiet, frozen=True, tag=8):
    """End the process in good order."""


class Kept(_Quiet, frozen=True, tag=9):
    """To a UI, once the ring is sealed: how an extension is kept that has just started, or an enclave is now."""

    posture: Posture


class Begin(_Quiet, frozen=True, tag=10):
    """To an errand that is locked: do the work. Its end of the stream comes with this, then what its enclave gave."""


class WindowClosed(_Quiet, frozen=True, tag=11):
    """To a UI: it is noted that it loads foreign code; this process gets no token any more but a `Renew`'s."""


class Measure(_Quiet, frozen=True, tag=12):
    """To the broker: tell what you have counted."""

    number: int


class Away(_Quiet, frozen=True, tag=13):
    """To the clients of a host, in a sealed ring: its process has ended. Each is told once of each process."""

    host: str


class Renew(_Quiet, frozen=True, tag=14):
    """To a client of a host that has come back, in a sealed ring: it may found one session with the new process."""

    ticket: SessionTicket


class Withdrawn(_Quiet, frozen=True, tag=15):
    """To the clients of a host that is away, and to the broker: it does not come back in this ring."""

    host: str


class Verdict(_Quiet, frozen=True, tag=16):
    """To a client: what a server did of the calls that the client had sent it, now that its process is reaped."""

    server: str
    known: int
    """The first sequence from which on it is known of each call that is in neither list: it was not started."""
    begun: tuple[int, ...]
    """The sequences, in their session, of the calls whose handler had begun, and had not returned."""
    done: tuple[int, ...]
    """Of those whose handler had returned: only the reply is lost."""
    deadly: tuple[int, ...] = ()
    """Of those that had begun: which are in quarantine since."""

    def outcome(self, sequence: int) -> Outcome:
        """Return what became of the call with this sequence."""
        if sequence in self.done:
            return Outcome.DONE
        unknown = sequence in self.begun or sequence < self.known
        return Outcome.UNKNOWN if unknown else Outcome.NOT_STARTED


class Quarantine(_Quiet, frozen=True, tag=17):
    """To a server, in a sealed ring: these calls too are not to be run any more."""

    digests: tuple[bytes, ...]


class Drain(_Quiet, frozen=True, tag=18):
    """To who calls, in a sealed ring: the keys are about to be changed, so send no new call; say when none is left."""

    epoch: int


NOTHING_KNOWN: Final = (1 << 63) - 1
"""In a `Verdict`: of no call it is known."""


class ErrandKind(enum.StrEnum):
    """Which one-shot processes there are. What each runs stands in a table of the shipped code; no message names it."""

    KEYCHAIN = "keychain"
    """Reads and writes one entry of the OS keychain."""
    SCRIBE = "scribe"
    """Works on a document between two pipes."""


class FailureKind(enum.IntEnum):
    """Why a child could not do its part of a boot; the last, what a UI's or an extension's own code ended by."""

    NOT_LOADABLE = 1
    START_FAILED = 2
    JOIN_FAILED = 3
    BAD_DECLARATION = 4
    WORK_FAILED = 5


WRONG_DECLARATION: Final = frozenset({FailureKind.NOT_LOADABLE, FailureKind.BAD_DECLARATION})
"""What only the application's author can mend."""


class Hello(_Quiet, frozen=True, tag=1):
    """The child is locked and ready for its first secret. An extension says so before any of its own code is loaded."""

    evidence: tuple[Evidence, ...] = ()
    """How the child finds itself kept; what can be seen from outside, the supervisor looks at itself."""
    errands: tuple[ErrandKind, ...] = ()
    """From an enclave: which errands its class declares; it can ask for no other."""


class Ready(_Quiet, frozen=True, tag=2):
    """The child has joined; the ring key's fingerprint (empty from the broker and from extensions)."""

    epoch: int
    fingerprint: bytes


class Failed(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=3):
    """The child cannot join, or its own code has failed. The text is for standard error, the rest for the log too."""

    kind: FailureKind
    text: str
    error: str = ""
    """The name of the exception's class; empty if there was none."""
    where: str = ""
    """Where in the code it was raised, as `file.py:line` or `module:line`."""
    missing: str = ""
    """The name of the module that was not found, if that is why."""


class Dismantled(_Quiet, frozen=True, tag=4):
    """Keys are dropped, promises have failed; ready to join the next epoch."""

    epoch: int


class Pong(_Quiet, frozen=True, tag=5):
    """Answer a Ping."""

    number: int


class NoticeKind(enum.StrEnum):
    """What the broker or an enclave noticed; names are stable, they stand in the log."""

    UID_REFUSED = "uid.refused"
    LEASE_REFUSED = "lease.refused"
    RECORD_REFUSED = "record.refused"
    ENVELOPE_REFUSED = "envelope.refused"
    SENDER_REFUSED = "sender.refused"
    REPLY_DROPPED = "reply.dropped"
    JOIN_REFUSED = "join.refused"
    LINK_LOST = "link.lost"
    MEMBER_REMOVED = "member.removed"
    CALL_LATE = "call.late"
    CALL_REFUSED = "call.refused"
    """A grant's conditions, its rate or its approval forbid a call; `detail` is the handler and the rule."""
    INCIDENT = "handler.failed"
    SANDBOX_DENIED = "sandbox.denied"
    GRANT_USED = "grant.used"
    """In learn mode only: the first call of a handler by a member."""


class Notice(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=6):
    """Something for the log. No field holds what a user or a member wrote, but for the path in a `SANDBOX_DENIED`.

    Who sends one may be hostile: see `permits.NOTICES` and `actors/supervision/notices.py` for what is believed.
    """

    kind: NoticeKind
    about: str
    """The member that it is about."""
    why: str
    """A fixed sentence, or the name of an exception's class."""
    detail: str = ""
    """A handler's name, an incident's number, or a place in the code."""


class Errand(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=7):
    """Start a one-shot process. Its end of a stream comes with this, then up to `MOST_GIVEN` descriptors for it."""

    kind: ErrandKind


class Statement(_Quiet, frozen=True, tag=8):
    """From an enclave: what only itself can tell of how it keeps its secrets (`posture.TESTIFIED`), as it is now."""

    evidence: tuple[Evidence, ...]


class CloseWindow(_Quiet, frozen=True, tag=9):
    """From a UI, before it loads foreign code: its ring key is dropped. When the ring falls, its process must end."""


class Measures(_Quiet, frozen=True, tag=10):
    """From the broker: answer a `Measure`, with every member that has a link."""

    number: int
    measures: tuple[MemberMeasure, ...]


class Drained(_Quiet, frozen=True, tag=11):
    """Every call has its reply, but for streams; new ones wait."""

    epoch: int


MOST_GIVEN: Final = 4
"""Descriptors that an enclave may hand to an errand, beside the end of the stream."""

ToChild: TypeAlias = (
    Boot
    | Join
    | OpenLink
    | Seal
    | Admit
    | Dismantle
    | Ping
    | Stop
    | Kept
    | Begin
    | WindowClosed
    | Measure
    | Away
    | Renew
    | Withdrawn
    | Verdict
    | Quarantine
    | Drain
)
FromChild: TypeAlias = (
    Hello | Ready | Failed | Dismantled | Pong | Notice | Errand | Statement | CloseWindow | Measures | Drained
)

TO_CHILD: Final[Codec[ToChild]] = Codec(ToChild)
FROM_CHILD: Final[Codec[FromChild]] = Codec(FromChild)
