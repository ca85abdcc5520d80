"""What the vault's commands decide by themselves: times, names of keys, paths, exit codes, git's arguments."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click
import pytest

from tests.enclave.gnupg import GnuPG
from trollbridge.actors import exits
from trollbridge.messages import errors
from trollbridge.messages.vault import KeyInfo, SubkeyInfo
from trollbridge.ui_adapter.vault import exit_codes, failures, key_reports, naming, passwords, places, times
from trollbridge.ui_adapter.vault import signature_facts as facts
from trollbridge.ui_adapter.vault.gpg_shim import understood
from trollbridge.ui_adapter.vault.launch import application
from trollbridge.ui_adapter.vault.orders import OPENING, ChangePassword, ShowStatus, Source, Target
from trollbridge.ui_adapter.vault.refusals import NotFound, WrongInput
from trollbridge.ui_adapter.vault.reports import plain
from trollbridge.ui_adapter.vault.request import Request, decode, encode
from trollbridge.ui_adapter.vault.work_orders import GetSecret, GitSign, GitVerify

if TYPE_CHECKING:
    from pathlib import Path

NOW = 1_800_000_000  # 2027-01-15 08:00 UTC
ADA = "Ada <ada@example.org>"
V4, OTHER, V6 = "ab" * 12 + "12" * 8, "cd" * 20, "ef" * 32


def _key(
    fingerprint: str, *user_ids: str, secret: bool = True, expires: int | None = None, revoked: bool = False
) -> KeyInfo:
    return KeyInfo(fingerprint, user_ids, secret, 1, expires, revoked, 4, "EdDSA", "own", (), own_password=False)


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


def test_a_name_of_several_living_keys_is_refused_and_lists_them() -> None:
    """Expired and revoked keys give way; without a living one they are ambiguous, too."""
    two = [_key(V4, ADA), _key(OTHER, ADA)]
    with pytest.raises(NotFound, match=rf"{V4}.*{OTHER}"):
        naming.find(two, ADA, NOW)
    assert naming.find([_key(V4, ADA, revoked=True), _key(OTHER, ADA)], ADA, NOW).fingerprint == OTHER
    assert naming.find([_key(V4, ADA, expires=NOW), _key(OTHER, ADA)], ADA, NOW).fingerprint == OTHER
    with pytest.raises(NotFound):
        naming.find([_key(V4, ADA, expires=NOW), _key(OTHER, ADA, revoked=True)], ADA, NOW)
    assert naming.find([_key(V4, ADA, secret=False), _key(OTHER, ADA)], ADA, NOW, own=True).fingerprint == OTHER


def test_the_key_to_sign_with_is_named_or_the_only_one() -> None:
    """Of none or of several none is taken."""
    own, foreign = _key(V4, ADA), _key(OTHER, "Ben", secret=False)
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
    assert app.grants == {"command": frozenset(f"vault.{each}" for each in OPENING)}
    with open(os.devnull, "rb") as null:  # noqa: PTH123  # its number is what matters
        number = null.fileno()
        order = ChangePassword(Source(descriptor=number))
        app = application(Request(order, "/x.vault", password=Source(descriptor=0)), "full")
    assert app.grants == {"command": frozenset(f"vault.{each}" for each in (*OPENING, "change_password"))}
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
    for length in range(len(binary) - 1):
        facts.of(binary[:length])  # whatever it is, it is no crash
    assert [facts.of(each) for each in (b"", b"text", public, armored[:100])] == [None] * 4
    assert [key_reports.holds_secret(each) for each in (public, secret, armored_secret, b"", b"junk")] == [
        False,
        True,
        True,
        False,
        False,
    ]
