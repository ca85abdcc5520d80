"""`trollbridge sign`, `verify`, `encrypt`, `decrypt`, `file`: files and pipes, and what is left (A23, A28 to A31)."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.ui_adapter.commands import COMMAND, PATIENCE, environment
from tests.ui_adapter.vaults import Safe
from trollbridge.actors import exits
from trollbridge.ui_adapter.vault import exit_codes

if TYPE_CHECKING:
    from pathlib import Path

TEXT = b"Dear Ben,\nall is well.\n"
LONG = 9 << 20
"""Bytes: more than goes through the vault in one call, and enough for a progress bar."""


class Desk(NamedTuple):
    """A vault with two keys, and a document."""

    safe: Safe
    ada: str
    ben: str
    document: Path

    def left(self) -> set[str]:
        """Return the names of all files beside the vault's folder."""
        return {each.name for each in self.safe.place.iterdir()}


@pytest.fixture(name="desk", scope="module")
def _desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    safe = Safe(tmp_path_factory.mktemp("documents"))
    safe.create()
    ada, ben = (
        safe.must("key", "generate", name, "--json").json["fingerprint"]
        for name in ("Ada <ada@example.org>", "Ben <ben@example.org>")
    )
    return Desk(safe, ada, ben, safe.file("letter", TEXT))


def test_a_signature_is_made_checked_and_demanded_of_one_signer(desk: Desk) -> None:
    """A28, A31: detached over a file and over a pipe; a changed document, and another signer than demanded, fail."""
    safe, letter = desk.safe, str(desk.document)
    signature = safe.place / "letter.asc"
    safe.must("sign", "-u", "ada@example.org", letter, "-o", str(signature))
    report = safe.must("verify", str(signature), "-", "--signer", desk.ada, "--json", data=TEXT).json
    assert [(each["fingerprint"], each["trust"], each["standing"]) for each in report["signers"]] == [
        (desk.ada, "own", "valid")
    ]
    safe.refuses(
        exit_codes.BAD_SIGNATURE, "no valid signature by", "verify", str(signature), letter, "--signer", desk.ben
    )
    safe.refuses(exit_codes.BAD_SIGNATURE, "", "verify", str(signature), "-", data=TEXT + b".")
    safe.refuses(exit_codes.NOT_FOUND, "name one with -u", "sign", letter)
    safe.refuses(exit_codes.NOT_READ, "nowhere", "sign", "-u", desk.ada, "nowhere")
    safe.refuses(exit_codes.NOT_WRITTEN, "--force", "sign", "-u", desk.ada, letter, "-o", str(signature))
    assert safe.run("sign", "--clear", "--binary").code == exit_codes.WRONG_COMMAND


def test_a_signed_message_gives_its_content_only_once_it_is_verified(desk: Desk) -> None:
    """A23: clear and inline; the wrong signer and a changed text leave no file."""
    safe = desk.safe
    clear, out = safe.place / "clear.asc", safe.place / "out"
    clear.write_bytes(safe.must("sign", "-u", desk.ada, "--clear", data=TEXT).out)
    assert b"Dear Ben," in clear.read_bytes()
    safe.refuses(exit_codes.BAD_SIGNATURE, "", "verify", str(clear), "-o", str(out), "--signer", desk.ben)
    forged = safe.file("forged.asc", clear.read_bytes().replace(b"well", b"lost"))
    safe.refuses(exit_codes.BAD_SIGNATURE, "", "verify", str(forged), "-o", str(out))
    assert not out.exists()
    told = safe.must("verify", str(clear), "-o", str(out), "--signer", desk.ada)
    assert out.read_bytes() == TEXT
    assert "valid signature by Ada <ada@example.org>" in told.text


def test_a_message_to_two_is_read_by_both_and_says_who_wrote_it(desk: Desk) -> None:
    """A30, A31: binary into a file, armored into a pipe; the plaintext is seen only if the demanded one has signed."""
    safe = desk.safe
    sealed, opened = safe.place / "letter.pgp", safe.place / "opened"
    safe.must(
        *("encrypt", str(desk.document), "-r", "ada@example.org", "-r", desk.ben, "-u", desk.ada, "-o", str(sealed))
    )
    assert TEXT not in sealed.read_bytes()
    safe.refuses(exit_codes.BAD_SIGNATURE, "", "decrypt", str(sealed), "--signer", desk.ben, "-o", str(opened))
    assert not opened.exists()
    report = safe.must("decrypt", str(sealed), "-o", str(opened), "--signer", desk.ada, "--json").json
    assert ([each["fingerprint"] for each in report["signers"]], report["unknown"]) == ([desk.ada], [])
    assert (opened.read_bytes(), opened.stat().st_mode & 0o777) == (TEXT, 0o600)
    armored = safe.must("encrypt", "-a", "-r", desk.ben, data=TEXT).out
    assert armored.startswith(b"-----BEGIN PGP MESSAGE-----")
    plain = safe.must("decrypt", data=armored)
    assert (plain.out, plain.said) == (TEXT, ["not signed: nobody is known to have written it"])
    safe.refuses(exit_codes.WRONG_DATA, "", "decrypt", data=b"junk")


def test_a_message_that_is_cut_off_leaves_nothing(desk: Desk) -> None:
    """A29, A30: neither on standard output nor as a file, long ones neither; nothing else appears in the folder."""
    safe = desk.safe
    long = safe.file("long", os.urandom(1 << 20) * (LONG >> 20))
    message = safe.place / "long.pgp"
    safe.must("encrypt", "-r", desk.ben, "--sign", "-u", desk.ada, str(long), "-o", str(message))
    cut = safe.file("cut", message.read_bytes()[:-1000])
    before = desk.left()
    done = safe.run("decrypt", str(cut), "-o", str(safe.place / "never"))
    assert (done.code != 0, done.out) == (True, b"")
    assert safe.run("decrypt", str(cut)).out == b""
    assert desk.left() == before
    with message.open("rb") as file:
        done = safe.run("decrypt", data=file.read())
    assert (done.code, done.out == long.read_bytes()) == (0, True)


def test_a_file_is_sealed_and_opened_by_this_vault_only(desk: Desk, tmp_path: Path) -> None:
    """A29: a byte changed, another vault: refused, and nothing is written."""
    safe = desk.safe
    sealed = safe.place / "letter.sealed"
    safe.must("file", "seal", str(desk.document), "-o", str(sealed))
    assert TEXT not in sealed.read_bytes()
    assert safe.must("file", "open", str(sealed)).out == TEXT
    damaged = bytearray(sealed.read_bytes())
    damaged[-1] ^= 1
    never = safe.place / "never"
    safe.refuses(exit_codes.CANNOT_OPEN, "", "file", "open", "-o", str(never), data=bytes(damaged))
    assert not never.exists()
    other = Safe(tmp_path)
    other.create()
    other.refuses(exit_codes.CANNOT_OPEN, "", "file", "open", str(sealed))


def test_binary_output_goes_to_no_terminal_and_a_bar_goes_to_nothing_else(desk: Desk) -> None:
    """The refusal comes before any question; the bar is on the terminal's standard error, and in no pipe."""
    safe = desk.safe
    with safe.on_a_terminal("encrypt", "-r", desk.ben, str(desk.document)) as dialogue:
        dialogue.hear("name a file with -o")
        assert dialogue.end() == exit_codes.WRONG_COMMAND
        assert "Password" not in dialogue.heard
    large = safe.file("large", bytes(LONG))
    arguments = ("file", "seal", str(large), "-o", str(safe.place / "large.sealed"), "--password-file")
    with safe.on_a_terminal(*arguments, str(safe.password)) as dialogue:
        dialogue.hear("sealed: 9.0 MiB")
        assert dialogue.end() == 0
    done = safe.must("file", "seal", str(large), "-o", str(safe.place / "large2.sealed"))
    assert (done.out, done.said) == (b"", [])


def test_an_output_that_nobody_takes_is_a_code_of_its_own(desk: Desk) -> None:
    """A full device, a folder that is not there."""
    safe = desk.safe
    with open("/dev/full", "wb") as full:  # noqa: PTH123  # a device
        given = ("--password-file", str(safe.password))
        done = safe.bare("sign", "-u", desk.ada, *given, data=TEXT, output=full.fileno())
    assert (done.code, len(done.said)) == (exits.OUTPUT_CLOSED, 1)
    out = str(safe.place / "nowhere" / "out")
    safe.refuses(exit_codes.NOT_WRITTEN, "no such folder", "sign", "-u", desk.ada, "-o", out, data=TEXT)


def test_a_command_that_is_stopped_in_the_middle_leaves_nothing(desk: Desk) -> None:
    """SIGINT to all of it while it reads from a pipe: 130, no output file, no process (the conftest looks)."""
    safe = desk.safe
    before = desk.left()
    log = safe.place / "log"
    words = ("file", "seal", "-o", str(safe.place / "stopped"), "--log", str(log), "--password-file")
    popen = subprocess.Popen(
        [COMMAND, *words, str(safe.password)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=safe.place,
        env=environment(safe.variables),
        start_new_session=True,
    )
    assert popen.stdin is not None
    popen.stdin.write(bytes(3 << 20))  # more than the pipe holds: it is read by now
    popen.stdin.flush()
    os.killpg(popen.pid, signal.SIGINT)
    _, said = popen.communicate(timeout=PATIENCE)
    assert popen.returncode == 128 + signal.SIGINT
    assert b"Traceback" not in said
    assert desk.left() == before | {"log"}
