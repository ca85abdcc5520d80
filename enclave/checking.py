"""An examination of the vault's file: it goes on past the first damage, and says of each which record it is.

May import: our enclave's database and sealing, our messages. Invariants: nothing is changed, and nothing of a body is
told; a file that it finds sound opens.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias

from trollbridge.enclave.database import Database, typed
from trollbridge.enclave.header import decode_header
from trollbridge.enclave.sealing import EMPTY, ID_SIZE, SALT_SIZE, Kind, combine
from trollbridge.messages.aead import TAG_SIZE
from trollbridge.messages.errors import DeclaredError, VaultCorrupt
from trollbridge.messages.vault import CheckReport, Finding, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trollbridge.enclave.sealing import Index, Row, VaultKey

Judge: TypeAlias = Callable[[Kind, str, bytes], str]
"""Says what is wrong with a record's content, by kind, name and body; empty if nothing is."""
MOST: Final = 1000
"""Findings that one report holds."""
_FILE: Final = "file"
_INDEX: Final = "index"


def unreadable(path: str, sentence: str) -> CheckReport:
    """Return the report on a file that does not even open as a vault; `sentence` says why."""
    try:
        complaints = Database.diagnosis(path)
    except DeclaredError:
        complaints = []
    found = [sentence, *complaints]
    return CheckReport(0, tuple(Finding(_FILE, printable(each)) for each in found), whole=False)


def examine(database: Database, key: VaultKey | None, judge: Judge) -> CheckReport:
    """Look at everything in the file, and with the key into every record."""
    examination = _Examination(key, judge)
    try:
        examination.findings += [Finding(_FILE, printable(each)) for each in database.complaints()]
        examination.header(database)
        for row in database.loose_rows():
            examination.row(row)
    except DeclaredError as problem:
        examination.findings.append(Finding(_FILE, str(problem)))
    examination.tally()
    return CheckReport(examination.records, tuple(examination.findings[:MOST]), whole=key is not None)


class _Examination:
    """What was seen so far."""

    def __init__(self, key: VaultKey | None, judge: Judge) -> None:
        self._key: Final = key
        self._judge: Final = judge
        self._indexes: list[Index | None] = []
        self._tally = EMPTY.tally
        self.findings: list[Finding] = []
        self.records = 0

    def header(self, database: Database) -> None:
        """Judge the header and what stands beside it."""
        try:
            decode_header(database.header())
            database.attempts()
        except VaultCorrupt:
            self.findings.append(Finding("header", "It was altered, or never was one."))

    def row(self, columns: tuple[object, ...]) -> None:
        """Judge one row."""
        place = columns[0].hex()[:16] if columns and isinstance(columns[0], bytes) else "?"
        try:
            row = typed(columns)
        except VaultCorrupt:
            self.findings.append(Finding(place, "A column is of another type than it must be."))
            return
        if row.kind == Kind.INDEX:
            self._index(row)
            return
        self.records += 1
        if self._key is not None:
            self._tally = combine(self._tally, self._key.mark(row))
        record, problems = _named(place, row), list(_outside(row))
        if not problems and self._key is not None:
            record, problem = self._inside(self._key, row, record)
            problems = [problem] if problem else []
        self.findings += [Finding(record, each) for each in problems]

    def _inside(self, key: VaultKey, row: Row, record: str) -> tuple[str, str]:
        try:
            name, body = key.open(row)
        except VaultCorrupt:
            return record, "It does not open: it was altered, or belongs elsewhere."
        return f"{_word(row.kind)} {printable(name)}", self._judge(Kind(row.kind), name, body)

    def _index(self, row: Row) -> None:
        index = None
        if self._key is not None:
            try:
                index = self._key.open_index(row)
            except VaultCorrupt:
                self.findings.append(Finding(_INDEX, "It does not open: it was altered, or belongs elsewhere."))
        self._indexes.append(index)

    def tally(self) -> None:
        """Compare what was seen with what the index counts."""
        match self._indexes:
            case [None]:
                return
            case [index] if index is not None:
                if index.size != self.records:
                    problem = f"It counts {index.size} records, and the file holds {self.records}."
                elif index.tally != self._tally:
                    problem = "A record is not the one that was last written, or stands in another's place."
                else:
                    return
            case []:
                problem = "There is none."
            case _:
                problem = "There is more than one."
        self.findings.append(Finding(_INDEX, problem))


def _word(kind: int) -> str:
    try:
        return Kind(kind).name.lower().replace("_", " ")
    except ValueError:
        return f"kind {kind}"


def _named(place: str, row: Row) -> str:
    return f"{_word(row.kind)} at {place}"


def _outside(row: Row) -> Iterator[str]:
    """Yield what is wrong with a row that shows without the key."""
    if row.kind not in set(Kind):
        yield "There is no such kind of record."
    if (len(row.id), len(row.salt)) != (ID_SIZE, SALT_SIZE) or len(row.sealed) < TAG_SIZE:
        yield "A part of it is shorter or longer than it can be."
