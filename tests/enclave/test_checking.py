"""The examination of a vault's file: a sound one has no finding; of a damaged one it says what, and which record."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.enclave.cheap import CHEAP
from trollbridge.enclave.access import Access
from trollbridge.enclave.sealing import Kind
from trollbridge.enclave.storage import Put
from trollbridge.messages import password as pw
from trollbridge.messages.errors import VaultCorrupt
from trollbridge.messages.vault import PASSWORD_ONLY, CheckReport, Finding

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET: Final = "secret"
ALICE: Final = "Alice <alice@example.org>"


@pytest.fixture
def fingerprint(path: str) -> str:
    """Make a vault with a key and two API keys; return the key's fingerprint."""
    access = Access(path, floor=CHEAP)
    access.create(PASSWORD_ONLY, pw.new_verifier(SECRET, CHEAP))
    access.opened().records.write(Put(Kind.API_KEY, "github", b"token"), Put(Kind.API_KEY, "a\x1b[2Jb", b""))
    made = access.opened().keys.generate(ALICE).fingerprint
    access.close()
    return made


def checked(path: str, *, unlock: bool) -> CheckReport:
    """Examine a vault, as the command does: unlocked first, if that can be done."""
    access = Access(path, floor=CHEAP)
    try:
        if unlock:
            try:
                access.unlock(PASSWORD_ONLY, pw.prove(SECRET, access.challenge(), CHEAP))
            except VaultCorrupt:
                assert access.check().findings, "what does not open has a finding"
        return access.check()
    finally:
        access.close()


def change(path: str, statement: str, *values: object) -> None:
    """Change the file past the vault."""
    connection = sqlite3.connect(path)
    assert connection.execute(statement, values).rowcount != 0
    connection.commit()
    connection.close()


def place(path: str, kind: Kind) -> bytes:
    """Return the row id of the first record of a kind."""
    connection = sqlite3.connect(path)
    [(row_id,), *_] = connection.execute("SELECT id FROM record WHERE kind = ? ORDER BY id", (kind,)).fetchall()
    connection.close()
    return bytes(row_id)


@pytest.mark.usefixtures("fingerprint")
def test_a_sound_vault_has_no_finding(path: str) -> None:
    """Open, every record was opened; locked, every row was looked at; and an empty one is sound too."""
    connection = sqlite3.connect(path)
    [(rows,)] = connection.execute("SELECT count(*) FROM record").fetchall()
    connection.close()
    assert checked(path, unlock=True) == CheckReport(rows - 1, (), whole=True)
    assert checked(path, unlock=False) == CheckReport(rows - 1, (), whole=False)
    access = Access(f"{path}.other", floor=CHEAP)
    access.create(PASSWORD_ONLY, pw.new_verifier(SECRET, CHEAP))
    assert access.check() == CheckReport(0, (), whole=True)
    access.close()


def test_each_damaged_record_is_named(path: str, fingerprint: str) -> None:
    """By its kind and place while it does not open, and by its kind and name where it opens and is no key (A29)."""
    for kind in (Kind.API_KEY, Kind.CERTIFICATE, Kind.SECRET_KEY):
        row_id = place(path, kind)
        whole = Path(path).read_bytes()
        change(path, "UPDATE record SET sealed = zeroblob(length(sealed)) WHERE id = ?", row_id)
        report = checked(path, unlock=True)
        word = kind.name.lower().replace("_", " ")
        named = f"{word} at {row_id.hex()[:16]}"
        assert [each.record for each in report.findings if each.record != "index"] == [named]
        Path(path).write_bytes(whole)
    assert fingerprint


@pytest.mark.usefixtures("fingerprint")
def test_damage_that_keeps_the_vault_shut_is_still_told(path: str) -> None:
    """The key is there for a moment at unlocking; that is when it is looked at (A29)."""
    row_id = place(path, Kind.CERTIFICATE)
    change(path, "UPDATE record SET salt = zeroblob(32) WHERE id = ?", row_id)
    access = Access(path, floor=CHEAP)
    assert access.check().findings == (), "without the key it does not show"
    with pytest.raises(VaultCorrupt):
        access.unlock(PASSWORD_ONLY, pw.prove(SECRET, access.challenge(), CHEAP))
    report = access.check()
    assert report.whole
    assert [each.record for each in report.findings] == [f"certificate at {row_id.hex()[:16]}", "index"]
    access.close()


def test_a_record_that_opens_and_is_no_key_is_named(path: str) -> None:
    """Kind and name, made fit to be shown, and not a byte of its body."""
    access = Access(path, floor=CHEAP)
    access.create(PASSWORD_ONLY, pw.new_verifier(SECRET, CHEAP))
    access.opened().records.write(Put(Kind.SECRET_KEY, "AB\x1bCD", b"canary"))
    report = access.check()
    assert [each.record for each in report.findings] == ["secret key AB\ufffdCD"]
    assert "canary" not in repr(report)
    access.close()


BY_HAND: Final[dict[str, tuple[str, str, bool]]] = {
    "a record taken away": ("DELETE FROM record WHERE kind = 3", "index", True),
    "the index taken away": ("DELETE FROM record WHERE kind = 0", "index", False),
    "the index altered": ("UPDATE record SET sealed = zeroblob(64) WHERE kind = 0", "index", True),
    "an older version": ("UPDATE record SET version = version + 1 WHERE kind = 2", "certificate at", True),
    "a kind that is none": ("UPDATE record SET kind = 99 WHERE kind = 2", "kind 99 at", False),
    "a short salt": ("UPDATE record SET salt = x'00' WHERE kind = 2", "certificate at", False),
    "text for bytes": ("UPDATE record SET sealed = 'text' WHERE kind = 2", "", False),
    "the header altered": ("UPDATE header SET body = zeroblob(length(body))", "header", False),
    "a count that is none": ("UPDATE header SET failures = -1", "header", False),
    "two headers": ("INSERT INTO header VALUES (2, x'', 0, 0)", "header", False),
    "no header": ("DELETE FROM header", "header", False),
}


@pytest.mark.usefixtures("fingerprint")
@pytest.mark.parametrize("damage", BY_HAND)
def test_damage_by_hand_is_found(path: str, damage: str) -> None:
    """With the key always, and without it wherever it can show (A29)."""
    statement, record, outside = BY_HAND[damage]
    change(path, statement)
    report = checked(path, unlock=not outside and record != "header")
    if outside:
        assert report.findings == ()
        report = checked(path, unlock=True)
    assert any(each.record.startswith(record) for each in report.findings), report
    if damage == "a record taken away":
        assert report.findings[0].problem.startswith(f"It counts {report.records + 2} records")


@pytest.mark.usefixtures("fingerprint")
@pytest.mark.parametrize("size", [10, 511, 4096, 8192, 12000])
def test_a_file_that_is_no_vault_any_more_has_a_finding(path: str, size: int) -> None:
    """Cut off or overwritten: a report, and no error (A29)."""
    whole = Path(path).read_bytes()
    for content in (whole[:size], os.urandom(size), whole[:100] + bytes(size) + whole[100 + size :]):
        Path(path).write_bytes(content)
        report = checked(path, unlock=False)
        assert report.findings, size
        assert all(each.record in {"file", "header", "index"} for each in report.findings)
    Path(path).write_bytes(whole)
    assert checked(path, unlock=False).findings == ()


@pytest.mark.usefixtures("fingerprint")
def test_no_damage_is_without_a_finding(path: str) -> None:
    """Wherever a byte is changed: a finding, or everything opens and reads as it did (A29)."""
    sound, whole = _content(path), Path(path).read_bytes()
    assert sound
    for at in range(1, len(whole), 397):
        Path(path).write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
        if not checked(path, unlock=False).findings and not _report(path).findings:
            assert _content(path) == sound, at
    Path(path).write_bytes(whole)


def _report(path: str) -> CheckReport:
    try:
        return checked(path, unlock=True)
    except VaultCorrupt:
        return CheckReport(0, (Finding("header", ""),), whole=False)


def _content(path: str) -> list[tuple[str, bytes]]:
    access = Access(path, floor=CHEAP)
    try:
        access.unlock(PASSWORD_ONLY, pw.prove(SECRET, access.challenge(), CHEAP))
        records = access.opened().records
        return [each for kind in Kind if kind for each in sorted(records.items(kind))]
    finally:
        access.close()


def test_what_a_report_says_of_a_file_is_fit_to_be_shown(path: str) -> None:
    """Whatever SQLite quotes of it (I6)."""
    access = Access(path, floor=CHEAP)
    access.create(PASSWORD_ONLY, pw.new_verifier(SECRET, CHEAP))
    access.close()
    change(path, 'CREATE TABLE "x\x1b[2J" (a)')
    report = checked(path, unlock=False)
    assert report.findings
    assert all(each.problem.isprintable() and each.record.isprintable() for each in report.findings)
    shows: Callable[[object], str] = repr
    assert "\x1b" not in shows(report)
