"""`trollbridge vault`: making and opening a vault, and everything about its password on the way (A25, A47)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path
from typing import Final

import pytest

from tests.ui_adapter.commands import COMMAND, PATIENCE, environment, talk_on_a_terminal
from tests.ui_adapter.vaults import PASSWORD, WRONG, Safe
from trollbridge.actors import exits
from trollbridge.ui_adapter.vault import exit_codes

PROMPT = "Password for "


@pytest.fixture(name="safe", scope="module")
def _safe(tmp_path_factory: pytest.TempPathFactory) -> Safe:
    safe = Safe(tmp_path_factory.mktemp("command"))
    safe.create()
    return safe


def test_a_vault_is_made_shown_opened_and_put_under_another_password(tmp_path: Path) -> None:
    """The whole life, with passwords from files; nothing is ever asked for, since nobody could answer."""
    safe = Safe(tmp_path)
    missing = safe.bare("vault", "status", "--json")
    assert (missing.code, missing.json["status"]["state"]) == (exit_codes.NO_VAULT, "missing")
    safe.refuses(exit_codes.NO_VAULT, "make one with `trollbridge vault create`", "vault", "unlock-test")
    made = safe.must("vault", "create", "--password-only", "--json").json
    assert (made["path"], made["status"]["mode"]) == (str(safe.path), "password-only")
    assert (safe.path.stat().st_mode & 0o777, safe.path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    safe.refuses(exit_codes.NO_VAULT, "already there", "vault", "create", "--password-only")
    other = safe.file("other", f"{WRONG}\n".encode())
    safe.refuses(exit_codes.WRONG_PASSWORD, "wrong", "vault", "unlock-test", "--password-file", str(other))
    assert safe.bare("vault", "status", "--json").json["status"]["failed_attempts"] == 1
    assert safe.run("vault", "change-password", "--new-password-file", str(other)).code == 0
    safe.refuses(exit_codes.WRONG_PASSWORD, "wrong", "vault", "unlock-test")
    opened = safe.bare("vault", "unlock-test", "--password-file", str(other)).text
    assert opened.endswith("wrong passwords since it was last opened: 1\n")
    again = safe.bare("vault", "unlock-test", "--password-file", str(other), "--json").json["status"]
    assert (again["state"], again["failed_attempts"]) == ("open", 0)
    assert safe.bare("vault", "status", "--vault", "").code == exit_codes.WRONG_COMMAND


def test_another_mode_than_was_demanded_is_refused(safe: Safe) -> None:
    """A47: no silent downgrade, in either direction; the modes of creation exclude each other."""
    safe.refuses(exit_codes.KEYCHAIN, "another mode", "vault", "unlock-test", "--mode", "keychain-and-password")
    assert safe.run("vault", "create", "--password-only", "--keychain-only").code == exit_codes.WRONG_COMMAND


def test_without_a_terminal_nothing_is_asked(safe: Safe) -> None:
    """The line says which option gives the password; a variable and standard input do not."""
    more = {"TROLLBRIDGE_PASSWORD": PASSWORD, "TROLLBRIDGE_PASSWORD_FILE": str(safe.password)}
    done = safe.bare("vault", "unlock-test", data=f"{PASSWORD}\n".encode(), more=more)
    assert (done.code, done.out) == (exit_codes.WRONG_PASSWORD, b"")
    assert "--password-file or --password-fd" in done.said[0]


def test_a_person_may_mistype_and_is_asked_again(safe: Safe) -> None:
    """On the terminal, unseen; two wrong ones are forgiven, a third ends it."""
    with safe.on_a_terminal("vault", "unlock-test") as dialogue:
        for typed in (WRONG, PASSWORD):
            dialogue.hear(PROMPT)
            dialogue.say(f"{typed}\n")
        dialogue.hear("the password is right")
        dialogue.hear("wrong passwords since it was last opened: 0")
        assert dialogue.end() == 0
        assert PASSWORD not in dialogue.heard
    with safe.on_a_terminal("vault", "unlock-test") as dialogue:
        for _ in range(3):
            dialogue.hear(PROMPT)
            dialogue.say(f"{WRONG}\n")
        dialogue.hear("trollbridge: The password is wrong")
        assert dialogue.end() == exit_codes.WRONG_PASSWORD


def _untouched() -> int:
    """Return the local modes of a terminal that nobody has used."""
    ours, theirs = os.openpty()
    try:
        found: int = termios.tcgetattr(ours)[3]
    finally:
        os.close(ours)
        os.close(theirs)
    return found


def test_ctrl_c_at_the_prompt_ends_cleanly_and_leaves_the_terminal_as_it_was(safe: Safe) -> None:
    """130, no traceback, no process, and what is typed next is echoed again."""
    before = _untouched()
    with safe.on_a_terminal("vault", "unlock-test") as dialogue:
        dialogue.hear(PROMPT)
        until = time.monotonic() + PATIENCE
        while termios.tcgetattr(dialogue.terminal)[3] & termios.ECHO:  # it is switched off after the prompt was written
            assert time.monotonic() < until
        dialogue.say("\x03")
        assert dialogue.end() == 128 + signal.SIGINT
        dialogue.hear("\r\n")  # a prompt of the shell begins a line of its own
        assert termios.tcgetattr(dialogue.terminal)[3] == before
        assert "Traceback" not in dialogue.heard


_ENDED: Final = """
import getpass, termios
from trollbridge.ui_adapter.vault import passwords

def ended(prompt):
    settings = termios.tcgetattr(0)
    settings[3] &= ~termios.ECHO
    termios.tcsetattr(0, termios.TCSAFLUSH, settings)
    raise SystemExit(143)

getpass.getpass = ended
passwords.ask("")
"""


def test_who_is_told_to_end_while_the_terminal_is_being_restored_restores_it_all_the_same() -> None:
    """As the supervisor does after Ctrl-C, when getpass has not come to it yet."""
    with talk_on_a_terminal(command=(sys.executable, "-I", "-c", _ENDED)) as dialogue:
        assert dialogue.end() == 143
        dialogue.hear("\r\n")
        assert termios.tcgetattr(dialogue.terminal)[3] == _untouched()


def test_a_new_password_is_typed_twice(tmp_path: Path) -> None:
    """Two that differ are asked for again, an empty one too; then the vault is there, and opens with it."""
    safe = Safe(tmp_path)
    with safe.on_a_terminal("vault", "create", "--password-only") as dialogue:
        for first, second in ((PASSWORD, WRONG), ("", None), (PASSWORD, PASSWORD)):
            dialogue.hear("New password for the vault: ")
            dialogue.say(f"{first}\n")
            if second is not None:
                dialogue.hear("New password for the vault, again: ")
                dialogue.say(f"{second}\n")
        dialogue.hear("made")
        assert dialogue.end() == 0


def test_a_folder_with_other_things_is_no_place_for_a_vault(tmp_path: Path) -> None:
    """The vault's process may write in all of its folder, so nothing else should be there."""
    safe = Safe(tmp_path)
    safe.file("diary")
    done = safe.run("vault", "create", "--password-only", "--vault", str(safe.place / "x.vault"))
    assert done.code == exit_codes.WRONG_COMMAND
    assert "a folder of its own" in done.said[-1]
    assert not (safe.place / "x.vault").exists()


def test_what_stands_in_the_way_of_a_vault_is_told_before_a_password_is_asked_for(safe: Safe) -> None:
    """A vault that is there, no keychain, a place that cannot be written: nothing is asked, nothing made."""
    for code, text, arguments in (
        (exit_codes.NO_VAULT, "already there", ("--password-only",)),
        (
            exit_codes.KEYCHAIN,
            "trollbridge vault create --password-only",
            ("--vault", str(safe.place / "b" / "b.vault")),
        ),
        (exit_codes.NO_VAULT, "is no folder", ("--password-only", "--vault", str(safe.password / "b" / "b.vault"))),
    ):
        with safe.on_a_terminal("vault", "create", *arguments) as dialogue:
            dialogue.hear(text)
            assert dialogue.end() == code
            assert "New password" not in dialogue.heard
    assert not (safe.place / "b").exists()


def test_damage_is_found_and_told_by_its_record(safe: Safe) -> None:
    """A sound vault passes, with the key and without; a changed byte is found, with a code of its own."""
    assert safe.must("vault", "check", "--json").json["findings"] == []
    assert safe.bare("vault", "check", "--locked").text.endswith("no damage found\n")
    content = safe.path.read_bytes()
    damaged = bytearray(content)
    for place in range(4096, len(damaged), 512):
        damaged[place] ^= 1
    safe.path.write_bytes(damaged)
    try:
        found = safe.run("vault", "check", "--json")
    finally:
        safe.path.write_bytes(content)
    assert found.code == exit_codes.FAILED
    assert found.json["findings"] != []


def test_two_commands_cannot_have_one_vault_at_once(safe: Safe) -> None:
    """A58: the second waits as long as it may, is told so, and changes nothing; the first goes on."""
    with safe.on_a_terminal("vault", "unlock-test") as dialogue:
        dialogue.hear(PROMPT)
        for seconds in ("0", "0.3"):
            set_ = ("secret", "set", "late", "--wait", seconds)
            safe.refuses(exit_codes.NO_VAULT, "application or command has this vault open", *set_, data=b"x")
        dialogue.say(f"{PASSWORD}\n")
        dialogue.hear("the password is right")
        assert dialogue.end() == 0


def test_a_command_waits_for_the_one_that_has_the_vault(safe: Safe) -> None:
    """A58: it goes on once the other one has ended; until then it has asked for nothing."""
    with safe.on_a_terminal("vault", "unlock-test") as first:
        first.hear(PROMPT)
        with safe.on_a_terminal("vault", "unlock-test", "--wait", "60") as second:
            first.say(f"{PASSWORD}\n")
            second.hear(PROMPT)
            second.say(f"{PASSWORD}\n")
            second.hear("the password is right")
            assert second.end() == 0
        assert first.end() == 0


def test_two_commands_of_one_pipeline_share_a_vault(safe: Safe) -> None:
    """A58: the second one claims the vault once it has read what the first one writes, and so once that is done."""
    safe.must("secret", "set", "from", data=b"kept")
    given = f"--password-file {safe.password}"
    line = f"{COMMAND} secret get from {given} | {COMMAND} file seal {given} | {COMMAND} file open {given}"
    done = subprocess.run(
        ["/bin/sh", "-c", line],
        capture_output=True,
        env=environment(safe.variables),
        timeout=PATIENCE,
        start_new_session=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"kept", b"")


def test_what_nobody_reads_and_what_nobody_started_have_codes(safe: Safe) -> None:
    """A closed or full output, a password's file that is not there, a log that is kept."""
    safe.refuses(exit_codes.NOT_READ, "nowhere: No such file", "vault", "unlock-test", "--password-file", "nowhere")
    log = safe.place / "log"
    safe.must("vault", "unlock-test", "--mode", "password-only", "--log", str(log))
    text = log.read_text(encoding="utf-8")
    assert '"event":"ring.sealed"' in text
    assert PASSWORD not in text
    with open("/dev/full", "wb") as full:  # noqa: PTH123  # a device
        done = safe.bare("vault", "status", output=full.fileno())
    assert (done.code, len(done.said)) == (exits.OUTPUT_CLOSED, 1)


def test_an_ordinary_user_has_the_same() -> None:
    """Started again from an execute-only copy, the command still finds its descriptors, its input and its output."""
    with tempfile.TemporaryDirectory() as folder:  # pytest's own are closed to other users
        safe = Safe(Path(folder), as_nobody=True)
        safe.create()
        safe.must("secret", "set", "token", data=b"kept")
        got = safe.bare("secret", "get", "token", "--password-fd", "0", data=f"{PASSWORD}\n".encode())
        assert (got.code, got.out) == (0, b"kept")
