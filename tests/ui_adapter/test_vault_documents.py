"""`trollbridge sign`, `verify`, `encrypt`, `decrypt`, `file`: files and pipes, and what is left (A23, A28 to A31)."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.ui_adapter.commands import PATIENCE, environment
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
    safe = Safe(tmp_path_factory.mktemp("documents"), cheap=True)
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
    safe.refuses(exit_codes.NOT_READ, "nowhere", "sign", "nowhere")
    assert safe.run("sign", "--clear", "--binary").code == exit_codes.WRONG_COMMAND
    safe.refuses(exit_codes.WRONG_DATA, f"verify {signature} {letter}", "verify", str(signature))
    safe.refuses(exit_codes.WRONG_DATA, f"verify {signature} {letter}", "verify", letter, str(signature))
    safe.refuses(exit_codes.WRONG_DATA, "", "sign", "--clear", "-u", desk.ada, data=b"\xff")
    unnamed = safe.run("sign", letter)
    assert (unnamed.code, len(unnamed.said)) == (exit_codes.NOT_FOUND, 3)
    assert [each.split()[0] for each in unnamed.said[1:]] == [desk.ada, desk.ben]
    safe.refuses(exit_codes.NOT_WRITTEN, "/dev/full", "sign", "-u", desk.ada, letter, "-o", "/dev/full")


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
    with safe.on_a_terminal("verify", str(clear), "-o", "-", "--password-file", str(safe.password)) as dialogue:
        dialogue.hear("Dear Ben,\r\nall is well.\r\n")
        dialogue.hear("valid signature by Ada")
        assert dialogue.end() == 0


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


def test_a_message_that_is_cut_off_leaves_nothing(desk: Desk) -> None:
    """A29, A30: neither on standard output nor as a file, long ones neither; nothing else appears in the folder."""
    safe = desk.safe
    long = safe.file("long", os.urandom(1 << 20) * (LONG >> 20))
    message = safe.place / "long.pgp"
    done = safe.must("encrypt", "-r", desk.ben, "--sign", "-u", desk.ada, str(long), "-o", str(message))
    assert (done.out, done.said) == (b"", [])  # no progress bar either
    cut = safe.file("cut", message.read_bytes()[:-1000])
    before = desk.left()
    done = safe.run("decrypt", str(cut), "-o", str(safe.place / "never"))
    assert (done.code != 0, done.out) == (True, b"")
    assert safe.run("decrypt", str(cut)).out == b""
    assert desk.left() == before
    with message.open("rb") as file:
        done = safe.run("decrypt", data=file.read())
    assert (done.code, done.out == long.read_bytes()) == (0, True)


def test_a_file_is_sealed_and_opened_as_it_was_or_not_at_all(desk: Desk) -> None:
    """A29: a byte changed: refused, and nothing is written."""
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


def test_binary_output_goes_to_no_terminal_and_a_bar_does(desk: Desk) -> None:
    """The refusal comes before any question; the bar is on the terminal's standard error."""
    safe = desk.safe
    with safe.on_a_terminal("encrypt", "-r", desk.ben, str(desk.document)) as dialogue:
        dialogue.hear("use -o FILE or a pipe")
        assert dialogue.end() == exit_codes.WRONG_COMMAND
        assert "Password" not in dialogue.heard
    large = safe.file("large", bytes(LONG))
    arguments = ("file", "seal", str(large), "-o", str(safe.place / "large.sealed"), "--password-file")
    with safe.on_a_terminal(*arguments, str(safe.password)) as dialogue:
        dialogue.hear("sealed: 9.0 MiB")
        assert dialogue.end() == 0


def test_a_terminal_is_not_steered_by_what_somebody_has_written(desk: Desk) -> None:
    """A31: a message to us that would retitle the window, or worse: refused under every name of the terminal."""
    safe = desk.safe
    hostile = safe.file("hostile.pgp", safe.must("encrypt", "-r", desk.ben, data=b"\x1b]0;pwned\x07text\n").out)
    with safe.on_a_terminal(
        "decrypt", str(hostile), "-o", "/dev/tty", "--password-file", str(safe.password)
    ) as dialogue:
        dialogue.hear("use -o FILE or a pipe")
        assert dialogue.end() == exit_codes.WRONG_COMMAND
        assert "\x1b]0" not in dialogue.heard


def test_a_file_that_appears_while_the_password_is_asked_for_stays(desk: Desk) -> None:
    """R9: the look before the work is not the last one; the result takes its place only with `--force`."""
    safe = desk.safe
    command = ("file", "seal", str(desk.document), "-o", str(safe.place / "theirs"))
    words = safe.place / "words"
    os.mkfifo(words)
    out = safe.place / "theirs"
    popen = subprocess.Popen(
        [*safe.command, *command, "--password-file", str(words)],
        stderr=subprocess.PIPE,
        cwd=safe.place,
        env=environment(safe.variables),
        start_new_session=True,
    )
    with words.open("wb") as writer:  # once it is read from, the look before the work is over
        out.write_bytes(b"another's")
        writer.write(safe.password.read_bytes())
    _, said = popen.communicate(timeout=PATIENCE)
    words.unlink()
    assert (popen.returncode, b"--force" in said, out.read_bytes()) == (exit_codes.NOT_WRITTEN, True, b"another's")
    safe.must(*command, "--force")
    assert out.read_bytes() != b"another's"


def test_what_is_for_others_follows_the_mask_and_what_is_not_stays_private(desk: Desk) -> None:
    """A29: ciphertext, signatures and certificates; plaintext, secret keys and API keys are their owner's."""
    safe, letter = desk.safe, str(desk.document)
    safe.must("secret", "set", "token", data=b"kept")
    own = ("--own-password-file", str(safe.password))
    made = [
        (0o640, ("sign", "-u", desk.ada, letter)),
        (0o640, ("encrypt", "-r", desk.ben, letter)),
        (0o640, ("file", "seal", letter)),
        (0o640, ("key", "export", desk.ada)),
        (0o600, ("sign", "--inline", "-u", desk.ada, letter)),
        (0o600, ("key", "export", "--secret", desk.ada, *own)),
        (0o600, ("key", "revocation", desk.ada)),
        (0o600, ("secret", "get", "token")),
    ]
    before = os.umask(0o027)
    try:
        for mode, arguments in made:
            out = safe.place / "made"
            safe.must(*arguments, "-o", str(out), "--force")
            assert out.stat().st_mode & 0o777 == mode, arguments
    finally:
        os.umask(before)


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
        [*safe.command, *words, str(safe.password)],
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
    assert desk.left() == before | {"log", "log.head"}
