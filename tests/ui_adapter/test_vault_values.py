"""What the vault's commands decide by themselves: times, names of keys, paths, exit codes, git's arguments."""

from __future__ import annotations

import os
import unicodedata
from typing import TYPE_CHECKING

import click
import pytest
from hypothesis import given
from hypothesis.strategies import binary, builds, integers, sampled_from, text
from msgspec import structs

from tests.enclave.gnupg import GnuPG
from trollbridge.actors import exits
from trollbridge.messages import errors
from trollbridge.messages.vault import OWN, TRUSTED, UNKNOWN, KeyInfo, SubkeyInfo
from trollbridge.ui_adapter.vault import (
    exit_codes,
    failures,
    key_reports,
    naming,
    outputs,
    passwords,
    places,
    plain_text,
    times,
)
from trollbridge.ui_adapter.vault import signature_facts as facts
from trollbridge.ui_adapter.vault.gpg_shim import understood
from trollbridge.ui_adapter.vault.launch import application
from trollbridge.ui_adapter.vault.orders import OPENING, ChangePassword, ShowStatus, Source, Target
from trollbridge.ui_adapter.vault.refusals import NotFound, OutputExists, WrongCommand, WrongInput
from trollbridge.ui_adapter.vault.reports import plain
from trollbridge.ui_adapter.vault.request import Request, decode, encode
from trollbridge.ui_adapter.vault.work_orders import GetSecret, GitSign, GitVerify

if TYPE_CHECKING:
    from pathlib import Path

NOW = 1_800_000_000  # 2027-01-15 08:00 UTC
ADA = "Ada <ada@example.org>"
V4, OTHER, V6 = "ab" * 12 + "12" * 8, "cd" * 20, "ef" * 32


def _key(
    fingerprint: str, *user_ids: str, trust: str = OWN, expires: int | None = None, revoked: bool = False
) -> KeyInfo:
    secret = trust == OWN
    return KeyInfo(fingerprint, user_ids, secret, 1, expires, revoked, 4, "EdDSA", trust, (), own_password=False)


# Times.


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("never", 0),
        ("90d", NOW + 90 * 86_400),
        ("2y", NOW + 730 * 86_400),
        ("12w", NOW + 84 * 86_400),
        ("12h", NOW + 43_200),
        ("5m", NOW + 300),
        ("2027-12-31", 1_830_211_200),
        ("2027-12-31T12:00", 1_830_254_400),
        ("2027-12-31T12:00+02:00", 1_830_247_200),
    ],
)
def test_times_are_spans_or_dates_in_utc(text: str, moment: int) -> None:
    """What is written without a zone is UTC."""
    assert times.moment(text, NOW) == moment


@pytest.mark.parametrize(
    "text", ["", "0d", "-1d", "1x", "d", "2020-01-01", "2200-01-01", "9999999y", "tomorrow", "1e3d"]
)
def test_what_is_no_time_or_past_is_refused(text: str) -> None:
    """With a sentence, and no date is guessed."""
    with pytest.raises(ValueError, match=r"write 2y|is not between now and"):
        times.moment(text, NOW)


def test_times_are_shown_in_utc() -> None:
    """A day if it is midnight."""
    assert [times.shown(each) for each in (None, 0, 1_830_211_200, NOW)] == [
        "never",
        "never",
        "2027-12-31",
        "2027-01-15 08:00 UTC",
    ]
    assert times.span("90d") == 7_776_000
    with pytest.raises(ValueError, match="no length of time"):
        times.span("2027-12-31")


# Names of keys.


@pytest.mark.parametrize(
    "name",
    [
        V4,
        V4.upper(),
        f"0x{V4}!",
        " ".join([V4[:20], V4[20:]]),
        V4[-16:],
        f"0x{V4[-16:].upper()}",
        ADA,
        "ada@example.org",
        "ADA@example.org",
    ],
)
def test_a_key_has_many_names(name: str) -> None:
    """Fingerprint, key id, user id, address, as git and people write them."""
    keys = [_key(OTHER, "Ben <ben@example.org>"), _key(V4, ADA, "Ada at work")]
    assert naming.find(keys, name, NOW).fingerprint == V4


@pytest.mark.parametrize("name", ["", "Ada", "ada", "example.org", "@example.org", V4[:16], "ab", f"{V4}00", "A*"])
def test_no_name_is_guessed(name: str) -> None:
    """A part of a name is no name."""
    with pytest.raises(NotFound):
        naming.find([_key(V4, ADA)], name, NOW)


@pytest.mark.parametrize(
    "user_id",
    [
        *("ada@example.org <eve@evil.example>", "<ada@example.org> eve@evil.example", "Ada <ada@example.org", "x@y@z"),
        *("Ada <eve+ada@example.org>", "ada@example.org>", "Ada <ada@example.org.evil.example>", "Ada ada@example.org"),
        *(
            "Ada <\u212arl@example.org>",
            "Ada <ada@e\u00d7ample.org>",
            "Ada <ada @example.org>",
            "Ada (ada@example.org)",
        ),
    ],
)
def test_an_address_is_the_whole_of_what_a_user_id_ends_with(user_id: str) -> None:
    """A31: what only looks like it, or holds it somewhere, is not found by it: `\u212a` is no k."""
    for name in ("ada@example.org", "krl@example.org"):
        with pytest.raises(NotFound):
            naming.find([_key(V4, user_id, trust=UNKNOWN)], name, NOW)


def test_of_several_keys_a_name_means_the_one_that_is_trusted_more_alive_or_not() -> None:
    """A31: a stranger's living certificate of the same name does not take the place of an expired or revoked one."""
    for mine in (OWN, TRUSTED):
        for expires, revoked in ((None, False), (None, True), (NOW, False)):
            known = _key(V4, ADA, trust=mine, expires=expires, revoked=revoked)
            for name in (ADA, "ada@example.org"):
                assert naming.find([_key(OTHER, ADA, trust=UNKNOWN), known], name, NOW) is known
    assert naming.find([_key(V4, ADA, trust=TRUSTED), _key(OTHER, ADA)], ADA, NOW).fingerprint == OTHER
    assert naming.find([_key(V4, ADA, trust=TRUSTED), _key(OTHER, ADA)], ADA, NOW, own=True).fingerprint == OTHER


def test_trust_is_for_the_user_ids_that_were_vouched_for_and_no_other() -> None:
    """A31: a trusted certificate that gives itself another's name is a stranger under that name."""
    mallory = structs.replace(_key(OTHER, "Mallory <m@example.org>", trust=TRUSTED), unvouched=(ADA,))
    assert naming.find([mallory, _key(V4, ADA, trust=TRUSTED)], "ada@example.org", NOW).fingerprint == V4
    with pytest.raises(NotFound):
        naming.find([mallory, _key(V4, ADA, trust=UNKNOWN)], ADA, NOW)
    assert naming.find([mallory], ADA, NOW) is mallory
    assert [naming.trust(mallory, each) for each in (ADA, "m@example.org", OTHER, "Ben")] == [
        UNKNOWN,
        TRUSTED,
        TRUSTED,
        None,
    ]


@pytest.mark.parametrize("trust", [OWN, TRUSTED, UNKNOWN])
def test_a_name_of_several_keys_of_equal_trust_is_refused_and_lists_them(trust: str) -> None:
    """Of own ones the only valid one is meant; of others' none, since nobody knows which replaced which."""
    valid, dead = _key(V4, ADA, trust=trust), _key(OTHER, ADA, trust=trust, revoked=True)
    with pytest.raises(NotFound, match=rf"{V4}.*{V6}"):
        naming.find([valid, _key(V6, ADA, trust=trust)], ADA, NOW)
    with pytest.raises(NotFound):
        naming.find([_key(V6, ADA, trust=trust, expires=NOW), dead], ADA, NOW)
    if trust == OWN:
        assert naming.find([valid, dead], ADA, NOW) is valid
    else:
        with pytest.raises(NotFound, match=rf"{V4}.*{OTHER}"):
            naming.find([valid, dead], ADA, NOW)


def test_the_key_to_sign_with_is_named_or_the_only_one() -> None:
    """Of none or of several none is taken."""
    own, foreign = _key(V4, ADA), _key(OTHER, "Ben", trust=UNKNOWN)
    assert naming.signing([foreign, own], "", NOW) is own
    with pytest.raises(NotFound, match="no valid key to sign with"):
        naming.signing([foreign, _key(V6, ADA, expires=NOW)], "", NOW)
    with pytest.raises(NotFound, match="name one with -u"):
        naming.signing([own, _key(V6, "Cleo")], "", NOW)


def test_key_ids_are_those_of_the_versions() -> None:
    """RFC 9580, section 5.5.4: the low 64 bits in version 4, the high ones in version 6."""
    assert (naming.key_id(f"{'0' * 24}{'1' * 16}"), naming.key_id("2" * 16 + "0" * 48)) == ("1" * 16, "2" * 16)


# Paths, passwords, requests.


def test_the_vault_lies_where_the_desktop_keeps_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path in XDG_DATA_HOME is not taken (as its specification says)."""
    monkeypatch.setenv("HOME", "/nowhere/ada")
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    assert places.default() == "/nowhere/ada/.local/share/trollbridge/vault/default.vault"
    monkeypatch.setenv("XDG_DATA_HOME", "data")
    assert places.default() == "/nowhere/ada/.local/share/trollbridge/vault/default.vault"
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert places.default() == places.named() == "/data/trollbridge/vault/default.vault"
    monkeypatch.setenv("TROLLBRIDGE_VAULT", "/srv/x.vault")
    assert places.named() == "/srv/x.vault"
    for state, folder in (("state", "/nowhere/ada/.local/state"), ("/state", "/state")):
        monkeypatch.setenv("XDG_STATE_HOME", state)
        assert places.state() == f"{folder}/trollbridge/vaults"


def test_a_new_vault_wants_a_folder_of_its_own(tmp_path: Path) -> None:
    """Other vaults beside it are no strangers."""
    assert places.crowded(str(tmp_path / "none" / "x.vault")) == ""
    (tmp_path / "a.vault").touch()
    (tmp_path / "a.vault-journal").touch()
    assert places.crowded(str(tmp_path / "x.vault")) == ""
    (tmp_path / "diary").touch()
    assert places.crowded(str(tmp_path / "x.vault")) == "diary"


def test_a_descriptor_gives_one_line_and_keeps_the_rest(tmp_path: Path) -> None:
    """Two passwords and a document may come over one pipe."""
    path = tmp_path / "lines"
    path.write_bytes("pässword\r\nsecond\ndocument\n".encode())
    descriptor = os.open(path, os.O_RDONLY)
    try:
        source = Source(descriptor=descriptor)
        assert (passwords.given(source), passwords.given(source)) == ("pässword", "second")
        assert os.read(descriptor, 100) == b"document\n"
    finally:
        os.close(descriptor)
    assert passwords.given(Source(file=str(path))) == "pässword"


@pytest.mark.parametrize("content", [b"", b"\n", b"\nsecond", b"\xff\xfe\n", b"x" * 5000])
def test_a_file_without_a_password_is_refused(tmp_path: Path, content: bytes) -> None:
    """An empty line is no password; binary data neither."""
    path = tmp_path / "pw"
    path.write_bytes(content)
    with pytest.raises(WrongInput, match="does not begin with a password"):
        passwords.given(Source(file=str(path)))


def test_a_request_arrives_as_it_was_sent() -> None:
    """Every field, and the order's own type."""
    order = GetSecret("näme", Target("out", force=True))
    request = Request(order, "/x.vault", "password-only", Source("pw"), Source(descriptor=5), as_json=True)
    assert decode(encode(request)) == request


def test_a_command_may_call_what_its_order_needs_and_nothing_else() -> None:
    """The grants are those of the order; `--password-fd` reaches the UI, standard descriptors it has anyway."""
    app = application(Request(ShowStatus(), "/x.vault"), "full")
    assert app.granted(app.ui.member) == frozenset(f"vault.{each}" for each in OPENING)
    with open(os.devnull, "rb") as null:  # noqa: PTH123  # its number is what matters
        number = null.fileno()
        order = ChangePassword(Source(descriptor=number))
        app = application(Request(order, "/x.vault", password=Source(descriptor=0)), "full")
    assert app.granted(app.ui.member) == frozenset(f"vault.{each}" for each in (*OPENING, "change_password"))
    assert app.ui.descriptors == (number,)
    with pytest.raises(click.UsageError, match="Bad file descriptor"):
        application(Request(ShowStatus(), "/x.vault", password=Source(descriptor=number)), "full")


@pytest.mark.parametrize("name", ["\udcff", "x" * 200_000])
def test_arguments_that_cannot_travel_are_a_wrong_command_line(name: str) -> None:
    """Bytes that are no UTF-8, and far too many of them."""
    with pytest.raises(click.UsageError):
        application(Request(GetSecret(name, Target()), "/x.vault"), "full")


def test_reports_as_json_name_every_field() -> None:
    """Bytes are digits; structs are objects, though they travel as arrays."""
    part = SubkeyInfo("aa", "X25519", 1, None, revoked=False, uses=("encrypt",))
    assert plain({"a": (part, b"\x01", 1.5)}) == {
        "a": [
            {
                "fingerprint": "aa",
                "algorithm": "X25519",
                "created": 1,
                "expires": None,
                "revoked": False,
                "uses": ["encrypt"],
            },
            "01",
            1.5,
        ]
    }


# Exit codes.


def test_every_error_that_the_vault_declares_has_an_exit_code_of_its_kind() -> None:
    """Nothing that the vault says ends as `something else failed`, but for what says so."""
    declared = [
        each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, errors.DeclaredError)
    ]
    without = {each.__name__ for each in declared if failures.code_of(each()) == exit_codes.FAILED}
    assert without == {"DeclaredError", "NoSuchJob"}
    assert failures.code_of(errors.WrongPassword()) == exit_codes.WRONG_PASSWORD


def test_exit_codes_do_not_collide_with_those_of_applications() -> None:
    """One number, one meaning; the table is in order."""
    ours = [value for name, value in vars(exit_codes).items() if name.isupper() and isinstance(value, int)]
    theirs = [value for name, value in vars(exits).items() if name.isupper() and isinstance(value, int)]
    assert len({*ours, *theirs}) == len(ours) + len(theirs)
    numbers = [int(code) for code, _ in exit_codes.TABLE[:-1]]
    assert numbers == sorted(set(numbers))
    assert set(ours) <= set(numbers)


# Git.


@pytest.mark.parametrize(
    ("line", "order"),
    [
        ("--status-fd=2 -bsau KEY", GitSign("KEY", 2)),
        ("--status-fd=1 -bsau 0xAB!", GitSign("0xAB!", 1)),
        ("--batch --status-fd 2 -b -s -a -u KEY", GitSign("KEY", 2)),
        ("--keyid-format=long --status-fd=1 --verify s.sig -", GitVerify("s.sig", "-", 1)),
    ],
)
def test_gits_arguments_are_understood(line: str, order: GitSign | GitVerify) -> None:
    """What git has passed since it began to sign."""
    assert understood(line.split()) == order


@pytest.mark.parametrize(
    "line",
    [
        *("", "--decrypt x", "--status-fd=3 -bsau KEY", "-bsau", "--verify only.sig", "--verify a b c", "-bsau K file"),
        *("--export-secret-keys", "--status-fd=2 -bsau KEY --passphrase x", "-s --verify a b"),
    ],
)
def test_what_git_does_not_ask_is_refused(line: str) -> None:
    """No option of gpg is guessed at, and none that takes a password is known."""
    with pytest.raises(click.UsageError):
        understood(line.split())


@pytest.fixture(name="gnupg")
def _gnupg(tmp_path_factory: pytest.TempPathFactory) -> GnuPG:
    return GnuPG(tmp_path_factory.mktemp("g"))


def test_a_signature_of_gpg_tells_who_made_it_and_when(gnupg: GnuPG) -> None:
    """Armored and binary, new and old packet formats; what is none gives nothing."""
    try:
        made = gnupg.new_key("Gerda <gerda@example.org>")
        rsa = gnupg.new_key("Rolf <rolf@example.org>", "rsa2048")
        armored = gnupg.out("--armor", "-u", made, "--detach-sign", data=b"text")
        binary = gnupg.out("-u", rsa, "--digest-algo", "SHA512", "--detach-sign", data=b"text")
        public, secret = gnupg.certificate(made), gnupg.out("--export-secret-keys", made)
        armored_secret = gnupg.out("--armor", "--export-secret-keys", made)
    finally:
        gnupg.close()
    found, other = facts.of(armored), facts.of(binary)
    assert found is not None
    assert other is not None
    assert (found.version, found.kind, found.algorithm, found.issuer) == (4, 0, 22, made)
    assert (other.algorithm, other.hash, other.issuer) == (1, 10, rsa)
    assert found.created > 1_700_000_000
    assert [facts.of(each) for each in (b"", b"text", public, armored[:100])] == [None] * 4
    assert [key_reports.holds_secret(each) for each in (public, secret, armored_secret, b"", b"junk")] == [
        False,
        True,
        True,
        False,
        False,
    ]


def _signature(hashed: bytes, other: bytes = b"", version: int = 4) -> bytes:
    width = 2 if version == 4 else 4
    areas = b"".join(len(area).to_bytes(width) + area for area in (hashed, other))
    body = bytes([version, 0, 22, 8]) + areas + b"\0" * 4
    return b"\xc2\xff" + len(body).to_bytes(4) + body


def _subpacket(kind: int, content: bytes) -> bytes:
    return b"\xff" + (1 + len(content)).to_bytes(4) + bytes([kind]) + content


def test_only_what_reads_as_the_standard_has_it_is_told_to_git() -> None:
    """A time of 3000 octets, a fingerprint of none, an area that ends too late: not one of them is a number for git."""
    created, issuer = _subpacket(2, b"\0\0\0\7"), _subpacket(33, b"\4" + bytes(20))
    assert facts.of(_signature(created, issuer)) == facts.Facts(4, 0, 22, 8, 7, 0, "00" * 20)
    assert facts.of(_signature(issuer, created, 6)) == facts.Facts(6, 0, 22, 8, 0, 0, "00" * 20)  # unsigned: no time
    for wrong in (
        *(
            _subpacket(2, b"\xff" * 3000),
            _subpacket(3, b""),
            _subpacket(33, b"\4" + bytes(3000)),
            _subpacket(33, b"\6"),
        ),
        *(_subpacket(16, bytes(7)), b"\xff\0\0\0\0\2", b"\xff\0\0\x10\0\2", b"\xff", b"\5\2", b"\0"),
    ):
        assert facts.of(_signature(wrong)) is None
    assert facts.of(_signature(created)[:-5]) is None


@given(binary() | builds(_signature, binary(), binary(), sampled_from([3, 4, 5, 6])))
def test_whatever_a_signature_is_it_is_no_crash(data: bytes) -> None:
    """Junk, and packets of junk: facts that can be written in one line, or none."""
    found = facts.of(data)
    assert found is None or all(len(str(each)) <= 64 for each in found)


# What is shown on a terminal.


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        *((each, True) for each in (b"", b"a\tb\n", b"a\r\nb", "Grüße, 東京\u3000\U0001f469\u200d\U0001f680".encode())),
        *((each, False) for each in (b"\x1b[2J", b"\xff", b"a\rb", b"a\r", b"a\r\r\n", b"\0", b"\x7f", b"\xc3")),
        *((each.encode(), False) for each in ("\x9b2J", "\u202e", "\u2028", "\u2066", "\ufeff", "\u200b")),
    ],
)
def test_a_terminal_gets_plain_text_only(content: bytes, *, shown: bool) -> None:
    """Escape sequences, also of one octet, what turns lines round, and what is no UTF-8, are not shown, however cut."""
    assert plain_text.shows([content]) == shown
    assert plain_text.shows(content[at : at + 1] for at in range(len(content))) == shown


@given(text(), integers(1, 5))
def test_what_is_shown_never_steers(content: str, size: int) -> None:
    """Whatever passes has no control character but the end of a line and the tabulator."""
    octets = content.encode(errors="replace")
    shown = plain_text.shows(octets[at : at + size] for at in range(0, len(octets), size))
    assert shown == plain_text.shows([octets])
    if shown:
        categories = {
            unicodedata.category(each) for each in octets.decode().replace("\r\n", "\n") if each not in "\n\t"
        }
        assert not categories & {"Cc", "Cs", "Zl", "Zp"}


# Where a result goes.


def test_a_file_that_appears_meanwhile_is_left_as_it_is(tmp_path: Path) -> None:
    """R9: not only the look before the work counts; `--force` replaces."""
    path = tmp_path / "out"
    outputs.check(Target(str(path)), binary=False)
    path.write_bytes(b"another's")
    with pytest.raises(OutputExists, match="--force"):
        outputs.write(Target(str(path)), b"ours")
    assert (path.read_bytes(), [*tmp_path.iterdir()]) == (b"another's", [path])
    outputs.write(Target(str(path), force=True), b"ours")
    assert path.read_bytes() == b"ours"


def test_a_terminal_is_one_whatever_it_is_called() -> None:
    """By its path, too; a result is written there whole, or not at all."""
    ours, theirs = os.openpty()
    try:
        terminal = Target(os.ttyname(theirs))
        assert [outputs.to_a_terminal(each) for each in (terminal, Target("/dev/null"), Target())] == [
            True,
            False,
            False,
        ]
        with pytest.raises(WrongCommand, match="use -o FILE"):
            outputs.check(terminal, binary=True)
        with pytest.raises(WrongCommand, match="control characters"):
            outputs.write(terminal, b"shown?\n\x1b]0;title\x07")
        outputs.write(terminal, b"text\n")
        assert os.read(ours, 100) == b"text\r\n"
    finally:
        os.close(ours)
        os.close(theirs)
