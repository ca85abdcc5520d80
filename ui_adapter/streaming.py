"""One document through one job of the vault: fed in pieces, several under way at a time, and taken as it comes out.

May import: our bridge, our whole_file, `messages`. Invariants: memory is bounded whatever the document's length; a job
that is not finished is cancelled; what came out counts only if this returns.
"""

from __future__ import annotations

import contextlib
from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

from trollbridge.messages.errors import ApprovalNeeded, TrollbridgeError
from trollbridge.messages.vault_documents import FEED, PLAIN
from trollbridge.ui_adapter.whole_file import NotRead

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from trollbridge.actors.calling.promise import Promise
    from trollbridge.messages.vault_documents import Job, Piece, Report
    from trollbridge.ui_adapter.bridge import HandlerProxy, MemberProxy
    from trollbridge.ui_adapter.whole_file import Sink

    Progress = Callable[[int, int | None], object]

DEPTH: Final = 4
"""Pieces under way at a time."""
PATIENCE: Final = 60.0
"""Seconds that the vault may take over one piece."""


class Readable(Protocol):
    """A source: an open binary file, or what stands for one."""

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes, none at the end."""
        ...


def read(source: Readable, size: int) -> bytes:
    """Return `size` bytes of a source, fewer only at its end; raises `NotRead`."""
    made: list[bytes] = []
    try:
        while size > 0:
            piece = source.read(size)
            if not piece:
                break
            made.append(piece)
            size -= len(piece)
    except OSError as error:
        msg = f"{getattr(source, 'name', 'the input')} cannot be read: {error.strerror or error}"
        raise NotRead(msg) from None
    return made[0] if len(made) == 1 else b"".join(made)


class Passage:
    """A document on its way through one job."""

    def __init__(  # noqa: PLR0913, PLR0917  # from, to, whom to tell, whom to ask
        self,
        vault: MemberProxy,
        job: Job,
        sink: Sink,
        report: Progress,
        total: int | None,
        approve: Callable[[], object] | None = None,
    ) -> None:
        """Begin the job; raises what the vault raises.

        `approve` is called when a signature is made and waits to be approved, and returns to have it asked for again.
        """
        self._vault: Final = vault
        self._plain: Final = job.kind in PLAIN
        self._sink: Final = sink
        self._report: Final = report
        self._total: Final = total
        self._approve: Final = approve
        self._flying: deque[tuple[Promise[Piece], int]] = deque()
        self._waiting = 0
        self._sent = 0
        self._done = 0
        self._number: int = vault.begin(job).get(timeout=PATIENCE)

    def carry(self, beginning: bytes, source: Readable) -> Report:
        """Feed the beginning, then the rest of the source; return the report once all has come out.

        Raises what the vault raises, `NotRead`, and what the sink raises; the job is over then.
        """
        try:
            for data in _pieces(beginning, source):
                self._make_room(1 if len(data) < FEED else DEPTH)  # a short call overtakes longer ones
                self._fly(data)
            while self._flying:
                self._land()
            return self._finish()
        except BaseException:
            with contextlib.suppress(TrollbridgeError):  # it may be over already
                self._vault.cancel(self._number)
            raise

    def _feeder(self) -> HandlerProxy:
        return self._vault.feed_plain if self._plain else self._vault.feed

    def _fly(self, data: bytes) -> None:
        self._flying.append((self._feeder()(self._number, self._sent, data), len(data)))
        self._sent += len(data)

    def _make_room(self, depth: int) -> None:
        """Take what is under way until less than `depth` is, and until the vault has room for what it has."""
        while len(self._flying) >= depth or (self._flying and self._waiting > FEED):
            self._land()
        while self._waiting > FEED:
            self._fly(b"")
            self._land()

    def _land(self) -> None:
        promise, size = self._flying.popleft()
        piece = promise.get(timeout=PATIENCE)
        self._waiting = piece.waiting
        self._done += size
        self._sink.write(piece.data)
        self._report(self._done - self._waiting, self._total)

    def _finish(self) -> Report:
        finisher = self._vault.finish_plain if self._plain else self._vault.finish
        while True:
            try:
                piece: Piece = finisher(self._number).get(timeout=PATIENCE)
            except ApprovalNeeded:
                if self._approve is None or self._plain:
                    raise
                self._approve()
                continue
            self._sink.write(piece.data)
            self._report(self._done - piece.waiting, self._total)
            if piece.report is not None:
                return piece.report


def _pieces(beginning: bytes, source: Readable) -> Generator[bytes]:
    """Yield the beginning and the rest of the source in pieces of one size, but for the last."""
    held = beginning
    while held or (held := read(source, FEED)):
        if len(held) < FEED:
            held += read(source, FEED - len(held))
        yield held[:FEED]
        held = held[FEED:]
