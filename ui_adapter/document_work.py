"""One document through the vault: in one call or through a job, and once more where that is needed.

May import: our replay, streaming and whole_file, `messages`. Invariant: a result is let be seen once all of the
document is done and the vault has nothing against it; otherwise this raises, and there is nothing to be seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from trollbridge.messages.errors import ApprovalNeeded, BadSignature, InvalidArguments
from trollbridge.messages.vault_documents import DECRYPT, PLAIN
from trollbridge.ui_adapter.streaming import Passage, read

if TYPE_CHECKING:
    from collections.abc import Callable

    from trollbridge.messages.vault_documents import Job, Report
    from trollbridge.ui_adapter.bridge import MemberProxy
    from trollbridge.ui_adapter.replay import Replay
    from trollbridge.ui_adapter.streaming import Progress
    from trollbridge.ui_adapter.whole_file import Sink

SHORT: Final = 4 << 20
"""Bytes up to which a document goes through in one call: sooner than a process for it alone has started."""


class InOneCall(NamedTuple):
    """How a document that is here as a whole is done in one call."""

    call: Callable[[bytes], tuple[bytes, Report]]
    """Returns what came out, and what is known of it."""
    most: int
    """Bytes that it takes."""


class Work:
    """One document."""

    def __init__(
        self, vault: MemberProxy, source: Replay, sink: Sink, report: Progress, approve: Callable[[], object] | None
    ) -> None:
        """Take where it comes from and goes, whom to tell how far it is, and what asks a person to approve.

        `approve` returns to have the use tried that waits; None: `ApprovalNeeded` is raised.
        """
        self._vault: Final = vault
        self._source: Final = source
        self._sink: Final = sink
        self._report: Final = report
        self._approve: Final = approve

    def run(self, job: Job, whole: InOneCall | None) -> Report:
        """Carry it through, and let it be seen; raises what the vault, the source and the sink raise."""
        if job.kind == DECRYPT:
            self._source.keep()  # it may be needed twice
        beginning = b"" if whole is None else read(self._source, SHORT + 1)
        if whole is not None and len(beginning) <= SHORT:
            report = self._at_once(whole, beginning)
        else:
            report = self._in_pieces(job, beginning, whole)
        self._sink.commit()
        return report

    def _at_once(self, whole: InOneCall, content: bytes) -> Report:
        while True:
            try:
                made, report = whole.call(content)
            except ApprovalNeeded:
                if self._approve is None:
                    raise
                self._approve()
                continue
            self._sink.write(made)
            self._report(len(content), len(content))
            return report

    def _in_pieces(self, job: Job, beginning: bytes, whole: InOneCall | None) -> Report:
        while True:
            try:
                passage = Passage(self._vault, job, self._sink, self._report, self._source.total, self._approve)
            except ApprovalNeeded:  # nothing but the beginning has been read
                if whole is None:
                    raise
                return self._after_all(whole, beginning)
            try:
                report = passage.carry(beginning, self._source)
            except (ApprovalNeeded, InvalidArguments):
                if job.kind not in PLAIN or whole is None or not self._source.repeatable:
                    raise
                self._restart()
                return self._after_all(whole, b"")
            if not report.again:
                return report
            if job.again:
                raise BadSignature
            job = msgspec.structs.replace(job, again=True)
            self._restart()
            beginning = b""

    def _after_all(self, whole: InOneCall, beginning: bytes) -> Report:
        """Do in one call what is not done in pieces; raises the error that is being handled if it is too long.

        That is: a use that is approved each time, but for a detached signature; several signatures, a text that is
        framed by one, one inside a compressed layer.
        """
        content = beginning + read(self._source, whole.most + 1 - len(beginning))
        if len(content) > whole.most:
            raise  # noqa: PLE0704  # called while the error is handled
        return self._at_once(whole, content)

    def _restart(self) -> None:
        self._sink.restart()
        self._source.again()
