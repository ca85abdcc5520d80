"""API keys: kept, listed, renamed, replaced and deleted; used by their kind alone; never shown if they are use-only."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import base64
import hashlib
import hmac
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from trollbridge.enclave import http_signature
from trollbridge.enclave.database import Database
from trollbridge.enclave.gate import Caller, Gate
from trollbridge.enclave.sealing import Kind, Row, VaultKey
from trollbridge.enclave.secrets import Secrets
from trollbridge.enclave.storage import Delete, Put, Records
from trollbridge.messages.errors import (
    ApprovalNeeded,
    DeclaredError,
    InvalidArguments,
    InvalidName,
    KeyUnusable,
    NoSuchSecret,
    NotAllowed,
    SecretExists,
    StorageFailed,
    TooLarge,
    UsageError,
    UseOnly,
    VaultCorrupt,
)
from trollbridge.messages.vault_secrets import (
    ECDSA_P256,
    ED25519,
    HMAC,
    LARGEST_SECRET,
    SECRET_KINDS,
    TOKEN,
    TOTP,
    Constraints,
    HttpRequest,
    SecretInfo,
    SecretOptions,
    TotpCode,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOW: Final = 1_111_111_111
NAME: Final = "payments"
OF_RFC: Final = b"12345678901234567890"
VALUES: Final = {
    TOKEN: b"canary-canary-canary",
    HMAC: b"canary-canary-canary",
    TOTP: base64.b32encode(OF_RFC),
    ED25519: b"canary-canary-canary-canary-cana",
    ECDSA_P256: b"canary-canary-canary-canary-cana",
}
REQUEST: Final = HttpRequest("GET", "https://example.com/", (), ("@method", "@authority"), created=NOW)


class Bench:
    """API keys with their clock and their callers in the test's hand."""

    def __init__(self, records: Records) -> None:
        """Open them."""
        self.records = records
        self.now = float(NOW)
        self.caller = Caller("console", "ui")
        self.open()

    def open(self) -> None:
        """Open them anew, as unlocking does."""
        self.gate = Gate(self.records, lambda: self.caller, clock=lambda: self.now)
        self.secrets = Secrets(self.records, self.gate, clock=lambda: self.now)

    def store(self, name: str = NAME, value: bytes | None = None, kind: str = TOKEN, **options: Any) -> SecretInfo:  # noqa: ANN401  # fields of several types
        """Keep a key; without a value, one that is of its kind."""
        return self.secrets.store(name, VALUES[kind] if value is None else value, SecretOptions(kind, **options))

    def uses(self) -> dict[str, Callable[[], object]]:
        """Return every use of the key, by the kinds that it is for."""
        return {
            "get": lambda: self.secrets.get(NAME),
            "bearer": lambda: self.secrets.bearer(NAME),
            "mac": lambda: self.secrets.mac(NAME, b"data", "sha256"),
            "sign_request": lambda: self.secrets.sign_request(NAME, REQUEST),
            "totp": lambda: self.secrets.totp(NAME, None),
        }


FITTING: Final = {
    TOKEN: {"get", "bearer"},
    HMAC: {"get", "mac", "sign_request"},
    TOTP: {"get", "totp"},
    ED25519: {"get", "sign_request"},
    ECDSA_P256: {"get", "sign_request"},
}


@pytest.fixture
def bench(records: Records) -> Bench:
    """Return an empty vault's API keys."""
    return Bench(records)


@pytest.mark.parametrize("value", [b"", b"\0", b"secret\n", bytes(range(256)), b"x" * LARGEST_SECRET])
def test_what_was_set_is_what_one_gets(bench: Bench, value: bytes) -> None:
    """To the byte, now and when the vault is opened again; an empty key is there (A48)."""
    info = bench.store(value=value, expires=NOW + 5, note="of the shop")
    assert info == SecretInfo(NAME, TOKEN, NOW, NOW, NOW + 5, use_only=False, size=len(value), note="of the shop")
    assert bench.secrets.get(NAME) == value
    bench.open()
    assert bench.secrets.get(NAME) == value
    assert bench.secrets.list_all() == (info,)


def test_empty_is_not_missing(bench: Bench) -> None:
    """One is a key without a byte, the other a typed error, whatever is asked of it (A48)."""
    bench.store("empty", b"")
    assert bench.secrets.get("empty") == b""
    assert bench.secrets.show("empty").size == 0
    missing: list[Callable[[], object]] = [
        *bench.uses().values(),
        lambda: bench.secrets.show(NAME),
        lambda: bench.secrets.rename(NAME, "new"),
        lambda: bench.secrets.delete(NAME),
        lambda: bench.secrets.get(""),
        lambda: bench.secrets.get("Empty"),
        lambda: bench.secrets.get("empty "),
    ]
    for each in missing:
        with pytest.raises(NoSuchSecret):
            each()


def test_a_deleted_key_is_gone_with_all_that_is_known_of_it(bench: Bench) -> None:
    """From the file, too; another one of its name begins anew (A48)."""
    bench.store(use_only=True, note="old")
    bench.gate.constrain(f"secret:{NAME}", Constraints(per_hour=1), lambda: None)
    bench.secrets.delete(NAME)
    assert len(bench.records) == 0
    assert bench.secrets.list_all() == ()
    bench.now += 5
    assert bench.store().created == NOW + 5
    for _ in range(3):
        assert bench.secrets.get(NAME) == VALUES[TOKEN]


def test_keys_are_listed_by_name_without_opening_any(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """By their code points; no value is read for it."""
    for name in ("b", "C", "a", "\u00e9", "10"):
        bench.store(name)
    assert [each.name for each in bench.secrets.list_all()] == ["10", "C", "a", "b", "\u00e9"]
    read: list[Kind] = []
    items = Records.items

    def watched(self: Records, kind: Kind) -> Iterator[tuple[str, bytes]]:
        read.append(kind)
        return items(self, kind)

    monkeypatch.setattr(Records, "items", watched)
    monkeypatch.delattr(Records, "get")
    assert len(bench.secrets.list_all()) == 5
    assert read == [Kind.API_KEY_INFO]


@pytest.mark.parametrize(
    "name", ["", " a", "a ", "a\n", "a\tb", "\x1b[2J", "\u202eevil", "a\u00a0", "x" * 129, "\ud800"]
)
def test_a_name_that_could_be_taken_for_another_is_refused(bench: Bench, name: str) -> None:
    """Empty, spaced at its ends, controlling, reordering, too long: for a new key and for a new name (I4)."""
    with pytest.raises(InvalidName):
        bench.store(name)
    bench.store()
    with pytest.raises(InvalidName):
        bench.secrets.rename(NAME, name)
    assert [each.name for each in bench.secrets.list_all()] == [NAME]


def test_names_match_byte_for_byte(bench: Bench) -> None:
    """Neither case nor Unicode's forms are folded; the longest name and one with spaces are names (I4)."""
    names = ["a", "A", "\u00e9", "e\u0301", "x" * 128, "two words", "secret:a", "../a"]
    for number, name in enumerate(names):
        bench.store(name, bytes([number]))
    for number, name in enumerate(names):
        assert bench.secrets.get(name) == bytes([number])


def test_a_key_is_replaced_only_when_that_is_said(bench: Bench) -> None:
    """Then it keeps its age; whether it is said or not, a refused one changes nothing (A48)."""
    bench.store(note="old")
    bench.now += 9
    with pytest.raises(SecretExists):
        bench.store(value=b"new")
    assert bench.secrets.get(NAME) == VALUES[TOKEN]
    info = bench.store(value=b"new", note="new", replace=True)
    assert info == SecretInfo(NAME, TOKEN, NOW, NOW + 9, None, use_only=False, size=3, note="new")
    assert bench.secrets.get(NAME) == b"new"
    with pytest.raises(SecretExists, match="kind token"):
        bench.store(kind=HMAC, replace=True)
    assert bench.store("fresh", replace=True).created == NOW + 9


def test_a_key_of_no_size_kind_or_note_that_is_allowed_is_refused(bench: Bench) -> None:
    """Nothing of it is kept."""
    with pytest.raises(TooLarge):
        bench.store(value=bytes(LARGEST_SECRET + 1))
    wrong: list[dict[str, Any]] = [{"note": "a\nb"}, {"note": "x" * 1025}, {"expires": 0}, {"expires": 10**15}]
    for options in wrong:
        with pytest.raises(InvalidArguments):
            bench.store(**options)
    for kind in ("", "Token", "password"):
        with pytest.raises(InvalidArguments):
            bench.store(value=b"x", kind=kind)
    for kind in (HMAC, TOTP, ED25519, ECDSA_P256):
        with pytest.raises(InvalidArguments):
            bench.store(value=b"", kind=kind)
    assert len(bench.records) == 0


def test_a_renamed_key_is_the_same_key(bench: Bench) -> None:
    """With its age, and under its old name there is none; another key is not overwritten by it (A48)."""
    info = bench.store(note="note", expires=5)
    bench.store("other", b"other")
    bench.now += 9
    for taken in ("other", NAME):
        with pytest.raises(SecretExists):
            bench.secrets.rename(NAME, taken)
    renamed = bench.secrets.rename(NAME, "new")
    assert renamed == SecretInfo("new", TOKEN, NOW, NOW, 5, use_only=False, size=info.size, note="note")
    assert bench.secrets.get("new") == VALUES[TOKEN]
    assert bench.secrets.get("other") == b"other"
    with pytest.raises(NoSuchSecret):
        bench.secrets.get(NAME)


@pytest.mark.parametrize("role", ["extension", "enclave", ""])
def test_nobody_but_the_core_ui_stores_replaces_renames_or_deletes(bench: Bench, role: str) -> None:
    """Whatever was granted (R8, A41); to use a key it suffices to be granted it."""
    bench.store()
    before = bench.records.generation
    bench.caller = Caller("other", role)
    attempts: list[Callable[[], object]] = [
        lambda: bench.store("new"),
        lambda: bench.store(replace=True),
        lambda: bench.secrets.rename(NAME, "new"),
        lambda: bench.secrets.delete(NAME),
    ]
    for each in attempts:
        with pytest.raises(NotAllowed):
            each()
    assert bench.records.generation == before
    assert bench.secrets.bearer(NAME) == "Bearer canary-canary-canary"


def test_a_key_is_used_as_its_kind_is_and_in_no_other_way(bench: Bench) -> None:
    """A key for one-time codes makes no HMAC: that would be any code of any time (A48)."""
    assert FITTING.keys() == set(SECRET_KINDS)
    for kind, fitting in FITTING.items():
        bench.store(kind=kind)
        for name, use in bench.uses().items():
            if name in fitting:
                assert use()
            else:
                with pytest.raises(KeyUnusable, match=f"kind {kind}"):
                    use()
        bench.secrets.delete(NAME)


@pytest.mark.parametrize("kind", SECRET_KINDS)
def test_a_use_only_key_is_used_and_comes_back_on_no_path(bench: Bench, kind: str) -> None:
    """Not by a new name, not by replacing it, not by opening the vault again: only a deletion ends it (A48)."""
    bench.store(kind=kind, use_only=True)

    def never_shown() -> None:
        for name in ("get", "bearer"):
            with pytest.raises(UseOnly):
                bench.uses()[name]()

    never_shown()
    for name in FITTING[kind] - {"get", "bearer"}:
        assert VALUES[kind] not in repr(bench.uses()[name]()).encode()
    with pytest.raises(SecretExists):
        bench.store(kind=kind, use_only=False)
    assert bench.store(kind=kind, use_only=False, replace=True).use_only
    never_shown()
    assert bench.secrets.rename(NAME, "new").use_only
    assert bench.secrets.rename("new", NAME).use_only
    bench.open()
    never_shown()
    assert VALUES[kind] not in repr(bench.secrets.list_all()).encode()


def test_a_key_becomes_use_only_when_it_is_replaced_so(bench: Bench) -> None:
    """Stricter is always possible."""
    bench.store()
    assert bench.store(use_only=True, replace=True).use_only
    with pytest.raises(UseOnly):
        bench.secrets.get(NAME)


@pytest.mark.parametrize("kind", SECRET_KINDS)
def test_a_constraint_holds_on_every_use_and_under_every_name(bench: Bench, kind: str) -> None:
    """By each operation, after a rename, a replacement and a restart; to get a key is to use it (K1)."""
    info = bench.store(kind=kind)
    bench.gate.constrain(f"secret:{NAME}", Constraints(approval=True), lambda: None)

    def refused() -> None:
        for name in FITTING[kind]:
            with pytest.raises(ApprovalNeeded):
                bench.uses()[name]()

    refused()
    bench.store(kind=kind, replace=True)
    refused()
    bench.open()
    refused()
    bench.secrets.rename(NAME, "new")
    bench.secrets.rename("new", NAME)
    refused()
    assert bench.secrets.show(NAME) == info
    operations = {each.operation for each in bench.gate.approvals()}
    named = {"mac": "hmac-sha256", "sign_request": "http-signature"}
    assert operations == {named.get(each, each) for each in FITTING[kind]}


def test_an_approval_shows_what_is_to_be_done(bench: Bench) -> None:
    """The data of an HMAC, the base of an HTTP signature: what is approved is that, once (K2)."""
    bench.store(kind=HMAC)
    bench.gate.constrain(f"secret:{NAME}", Constraints(approval=True), lambda: None)
    for use in (bench.uses()["mac"], bench.uses()["sign_request"]):
        with pytest.raises(ApprovalNeeded):
            use()
    first, second = bench.gate.approvals()
    assert (first.operation, first.head) == ("hmac-sha256", "data")
    assert (second.operation, second.head.encode()) == ("http-signature", http_signature.base(REQUEST).octets)
    bench.gate.approve(first.ticket)
    with pytest.raises(ApprovalNeeded):
        bench.secrets.mac(NAME, b"date", "sha256")
    with pytest.raises(ApprovalNeeded):
        bench.secrets.mac(NAME, b"data", "sha512")
    assert bench.uses()["mac"]()
    with pytest.raises(ApprovalNeeded):
        bench.uses()["mac"]()


def test_a_count_goes_along_with_a_name(bench: Bench) -> None:
    """Two uses an hour are two, whatever the key is called (K1)."""
    bench.store()
    bench.gate.constrain(f"secret:{NAME}", Constraints(per_hour=2), lambda: None)
    bench.secrets.get(NAME)
    bench.secrets.rename(NAME, "new")
    bench.secrets.bearer("new")
    bench.secrets.rename("new", NAME)
    for each in ("get", "bearer"):
        with pytest.raises(NotAllowed):
            bench.uses()[each]()


def test_a_bearer_header_is_one_line_with_the_key(bench: Bench) -> None:
    """RFC 6750, section 2.1; what could not stand in it is refused, and not counted as a use."""
    for value in (b"mF_9.B5f-4.1JqM", b"YWJj+/==", b"~"):
        bench.store("fine", value, replace=True)
        assert bench.secrets.bearer("fine") == f"Bearer {value.decode()}"
    for value in (b"", b"a b", b"a\n", b"a\r\nX: y", b"=", b"a=b", "\u00e9".encode(), b"\xff"):
        bench.store(value=value, replace=True)
        with pytest.raises(KeyUnusable):
            bench.secrets.bearer(NAME)


def test_an_hmac_is_the_standard_librarys(bench: Bench) -> None:
    """By three hash functions and no weaker one."""
    bench.store(kind=HMAC)
    for algorithm in ("sha256", "sha384", "sha512"):
        expected = hmac.new(VALUES[HMAC], b"data", algorithm).digest()
        assert bench.secrets.mac(NAME, b"data", algorithm) == expected
    for algorithm in ("", "sha1", "md5", "SHA256"):
        with pytest.raises(InvalidArguments):
            bench.secrets.mac(NAME, b"data", algorithm)


def test_a_request_is_signed_as_the_keys_kind_says(bench: Bench) -> None:
    """Each by its own algorithm; a request that cannot be signed is no use of the key."""
    base = http_signature.base(REQUEST)
    bench.store(kind=HMAC)
    expected = hmac.new(VALUES[HMAC], base.octets, hashlib.sha256).digest()
    assert bench.secrets.sign_request(NAME, REQUEST) == base.headers(expected)
    bench.store("edwards", kind=ED25519)
    private = ed25519.Ed25519PrivateKey.from_private_bytes(VALUES[ED25519])
    assert bench.secrets.sign_request("edwards", REQUEST) == base.headers(private.sign(base.octets))
    bench.gate.constrain(f"secret:{NAME}", Constraints(per_hour=1), lambda: None)
    with pytest.raises(InvalidArguments):
        bench.secrets.sign_request(NAME, HttpRequest("GET", "https://example.com/", (), ()))
    bench.secrets.sign_request(NAME, REQUEST)


def test_a_one_time_code_is_of_now_or_before_and_tells_how_long_it_lasts(bench: Bench) -> None:
    """RFC 6238's code of that second; beyond the next period there is none to be had in advance (K1)."""
    uri = f"otpauth://totp/rfc?secret={VALUES[TOTP].decode()}&digits=8".encode()
    bench.store(kind=TOTP, value=uri)
    assert bench.secrets.totp(NAME, None) == TotpCode("14050471", 29)
    assert bench.secrets.totp(NAME, 1_111_111_109) == TotpCode("07081804", 1)
    assert bench.secrets.totp(NAME, 59) == TotpCode("94287082", 1)
    assert bench.secrets.totp(NAME, NOW + 30).seconds_left == 29
    for late in (NOW + 31, 2_000_000_000, 1 << 62, -1):
        with pytest.raises(InvalidArguments):
            bench.secrets.totp(NAME, late)


def test_what_could_not_be_written_did_not_happen(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither half of it (A58)."""

    def refuse(*_: object) -> None:
        raise StorageFailed

    bench.store()
    with monkeypatch.context() as full:
        full.setattr(Database, "write", refuse)
        for attempt in (
            lambda: bench.store("new"),
            lambda: bench.store(value=b"x", replace=True),
            lambda: bench.secrets.rename(NAME, "new"),
            lambda: bench.secrets.delete(NAME),
        ):
            with pytest.raises(StorageFailed):
                attempt()
    assert bench.secrets.get(NAME) == VALUES[TOKEN]
    assert [each.name for each in bench.secrets.list_all()] == [NAME]


def test_records_that_do_not_fit_together_are_corruption(bench: Bench) -> None:
    """A key without its value, and what is known of it in another form: never an empty key."""
    bench.store()
    bench.records.write(Delete(Kind.API_KEY, NAME))
    for use in (bench.uses()["get"], bench.uses()["bearer"], lambda: bench.secrets.rename(NAME, "new")):
        with pytest.raises(VaultCorrupt):
            use()
    bench.records.write(Put(Kind.API_KEY_INFO, NAME, b"junk"))
    for use in (bench.uses()["get"], bench.secrets.list_all):
        with pytest.raises(VaultCorrupt):
            use()


def test_keys_are_there_when_the_file_is_opened_again(
    bench: Bench, database: Database, path: str, key: VaultKey
) -> None:
    """As they were; and neither a name nor a value stands in the file (A24, A58)."""
    bench.store(note="a note of the test's")
    before = bench.secrets.list_all()
    database.close()
    content = Path(path).read_bytes()
    for canary in (NAME.encode(), VALUES[TOKEN], b"a note of"):
        assert canary not in content
    again = Database.open(path)
    later = Bench(Records(again, key))
    assert later.secrets.list_all() == before
    assert later.secrets.get(NAME) == VALUES[TOKEN]
    again.close()


def test_ten_thousand_keys_are_listed_at_once(
    bench: Bench, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By their names, with one question to the file, and each row opened once: the work grows with their number."""
    infos = [
        SecretInfo(f"key {n:05}", TOKEN, NOW, NOW, None, use_only=False, size=40, note="note") for n in range(10_000)
    ]
    bench.records.write(*(change for each in infos for change in bench.secrets._puts(each, bytes(40))))
    asked: list[str] = []
    opened: list[int] = []
    unseal = VaultKey.open

    def counted(self: VaultKey, row: Row) -> tuple[str, bytes]:
        opened.append(row.kind)
        return unseal(self, row)

    database._connection.set_trace_callback(asked.append)
    monkeypatch.setattr(VaultKey, "open", counted)
    assert bench.secrets.list_all() == tuple(infos)
    assert (len(asked), opened) == (1, [Kind.API_KEY_INFO] * 10_000)


def test_the_keys_of_a_locked_vault_are_inert(bench: Bench) -> None:
    """Who kept a reference finds nothing in it, and no error shows a value (A44, I6)."""
    bench.store()
    bench.secrets.drop()
    bench.records.drop()
    for use in bench.uses().values():
        with pytest.raises((UsageError, DeclaredError)) as refusal:
            use()
        assert VALUES[TOKEN].decode() not in str(refusal.value)
