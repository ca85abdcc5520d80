"""Whatever is wrong with a call, a vault, a module or the disk: one line, a documented code, and the end."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.ui_adapter.commands import Ended, run, talk
from trollbridge.actors import exits

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

UNHANDLED = 1
UMOUNT = shutil.which("umount") or "umount"


def _one_line(ended: Ended, code: int, text: str) -> None:
    """Demand the exit code, and one line for a person that has the text."""
    assert (ended.code, len(ended.said)) == (code, 1), ended
    assert ended.said[0].startswith("trollbridge: ")
    assert text in ended.said[0]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("missing", "asker: clerk.burn is not exported, or not to this member; there is clerk.copy, clerk.wait"),
        ("withheld", "asker: clerk.withheld is not granted to this member; add it to App(grants=…)"),
        ("types", "asker: clerk.copy(text: str) -> str: Expected `str`, got `int` - at `text`"),
        ("size", "asker: clerk.copy takes at most 1024 bytes of arguments, not 2004"),
    ],
)
def test_a_wrong_call_is_told_in_one_line(name: str, text: str) -> None:
    """No such handler, no grant, wrong types, too many bytes: refused before anything is sent (A18, A26, P3)."""
    ended = run("run", f"declared:{name}")
    _one_line(ended, UNHANDLED, text)
    assert ended.log[-1].event == "application.stopped"


@pytest.mark.parametrize(
    ("reference", "text"),
    [
        ("nowhere:app", "there is no module nowhere here"),
        ("broken:app", "broken cannot be imported: RuntimeError: two lines of reasons ("),
        ("declared:nothing", "declared:nothing: the module declared has no nothing"),
        ("declared:not_an_app", "declared:not_an_app is a str, not an App"),
        ("declared", "'declared' does not name an application; write module:app"),
        ("declared:no_enclave_module", "nowhere:Clerk cannot be loaded: ModuleNotFoundError"),
        ("declared:no_ui_class", "asker:Nobody cannot be loaded: AttributeError"),
        ("declared:broken_enclave", "broken:Enclave cannot be loaded: RuntimeError at broken.py:5"),
        ("declared:no_setting", "Asker.__init__() missing 1 required positional argument: 'act'"),
        ("declared:swapped", "is not a"),
    ],
)
def test_a_declaration_that_cannot_be_loaded_is_told_in_one_line(reference: str, text: str) -> None:
    """A module that raises, is missing or holds something else, for the application or for a member (R7, P2)."""
    _one_line(run("run", reference), exits.DECLARATION, text)


def test_a_declaration_that_contradicts_itself_starts_nothing(tmp_path: Path) -> None:
    """A grant of an enclave that is not there: the error of `App` itself is the line."""
    text = "from trollbridge.actors.app import App\napp = App(ui='a:A', grants={'a': ['b.c']})\n"
    tmp_path.joinpath("wrong.py").write_text(text, encoding="utf-8")
    ended = run("run", "wrong:app", folder=tmp_path)
    _one_line(ended, exits.DECLARATION, "wrong:app: grants name the handler b.c, but its owner is none of")
    assert ended.log == []


@pytest.mark.parametrize(
    ("name", "code", "text"),
    [
        ("crash", exits.UI_CRASHED, "asker failed: LookupError: the first line of main (at asker.py:"),
        ("rash", exits.BOOT_FAILED, "rash: ui failed: KeyError at asker.py:"),
        ("shy", exits.BOOT_FAILED, "shy: Shy failed in on_start or its loop: ValueError (clerk.py:"),
    ],
)
def test_a_member_that_crashes_at_its_start_ends_the_application(name: str, code: int, text: str) -> None:
    """Before the seal the boot is aborted, after it the application ends; no text of an enclave shows (R7)."""
    ended = run("run", f"declared:{name}")
    _one_line(ended, code, text)
    assert "must not be shown" not in repr(ended)


@pytest.mark.parametrize("arguments", [("run", "declared:right"), ("demo",)])
def test_a_system_that_refuses_another_descriptor_is_told_in_one_line(arguments: tuple[str, ...]) -> None:
    """Whatever was started by then is gone (R7, A59)."""
    ended = run(*arguments, prefix=["/bin/sh", "-c", 'ulimit -n 12; exec "$@"', "sh"])
    _one_line(ended, exits.BOOT_FAILED, "Too many open files")


def _vault(tmp_path: Path) -> dict[str, str]:
    return {"VAULT": str(tmp_path / "test.vault")}


def test_a_wrong_password_is_told_in_one_line(tmp_path: Path) -> None:
    """The vault's typed error reaches the person, the password nobody; the vault stays usable (A25, I6)."""
    assert run("run", "declared:create", more=_vault(tmp_path)).output == "open\n"
    _one_line(run("run", "declared:guess", more=_vault(tmp_path)), UNHANDLED, "keeper: The password is wrong")
    assert run("run", "declared:count", more=_vault(tmp_path)).output == "0\n"


@pytest.mark.parametrize("content", [b"not a vault at all", b"SQLite format 3\0" + bytes(5000)])
def test_a_file_that_is_no_vault_is_told_and_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    """Whatever stands there, it is not overwritten."""
    path = tmp_path / "test.vault"
    path.write_bytes(content)
    path.chmod(0o600)
    _one_line(
        run("run", "declared:status", more=_vault(tmp_path)), UNHANDLED, "keeper: The vault file is damaged or not"
    )
    assert path.read_bytes() == content


def test_a_damaged_vault_is_told_in_one_line(tmp_path: Path) -> None:
    """One changed byte in every kilobyte: `VaultCorrupt`, not a crash and not a guess (A29)."""
    assert run("run", "declared:create", more=_vault(tmp_path)).code == 0
    path = tmp_path / "test.vault"
    damaged = bytearray(path.read_bytes())
    for place in range(100, len(damaged), 1000):
        damaged[place] ^= 1
    path.write_bytes(damaged)
    _one_line(
        run("run", "declared:count", more=_vault(tmp_path)), UNHANDLED, "keeper: The vault file is damaged or not"
    )


def test_a_second_application_on_one_vault_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    """`VaultInUse` for the one, nothing at all for the other (A58)."""
    with talk("run", "declared:hold", more=_vault(tmp_path)) as first:
        first.hear("open\n")
        second = run("run", "declared:status", more=_vault(tmp_path))
        _one_line(
            second, UNHANDLED, "keeper: Another application or command has this vault open; wait for it, or stop it."
        )
        first.say("\n")
        first.hear("Ada\n")
        assert first.end() == 0
    assert run("run", "declared:count", more=_vault(tmp_path)).output == "1\n"


DISK, FILE = "the disk is full", "a file may not grow"


@contextmanager
def _small(kind: str, folder: Path, size: int) -> Generator[tuple[Path, list[str]]]:
    """Give a folder that takes `size` bytes, and what a command must be started with to meet that limit.

    For `DISK` a file system of its own, where the system lets us mount one; else a limit on the size of each file.
    """
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    allowed = kind == DISK and os.geteuid() == 0
    mounted = allowed and subprocess.run(mount, capture_output=True, check=False).returncode == 0
    try:
        yield folder, [] if mounted else ["/bin/sh", "-c", f'ulimit -f {size // 512}; exec "$@"', "sh"]
    finally:
        if mounted:
            subprocess.run([UMOUNT, str(folder)], check=True)


@pytest.mark.parametrize("kind", [DISK, FILE])
def test_a_full_disk_is_told_and_loses_nothing_that_was_acknowledged(tmp_path: Path, kind: str) -> None:
    """Keys are made until the disk is full: each one that was reported is there afterwards (A58)."""
    with _small(kind, tmp_path / "disk", 200 << 10) as (folder, limited):
        vault = {"VAULT": str(folder / "test.vault")}
        assert run("run", "declared:create", "-q", more=vault, prefix=limited).output == "open\n"
        full = run("run", "declared:fill", "-q", more=vault, prefix=limited)
        _one_line(
            full,
            UNHANDLED,
            "keeper: The vault could not be written: the disk is full or read-only; nothing was changed",
        )
        made = full.output.splitlines()
        assert made == [f"Key {number}" for number in range(len(made))] != []
        assert run("run", "declared:count", "-q", more=vault, prefix=limited).output == f"{len(made)}\n"


@pytest.mark.parametrize("kind", [DISK, FILE])
def test_a_document_that_does_not_fit_on_the_disk_is_told_and_leaves_nothing(tmp_path: Path, kind: str) -> None:
    """The UI's own files: no half of one, no temporary one, and what was there before stays."""
    with _small(kind, tmp_path / "disk", 64 << 10) as (folder, limited):
        target = folder / "letter.pgp"
        target.write_bytes(b"the letter of yesterday")
        vault = {"VAULT": str(tmp_path / "test.vault")}
        ended = run("run", "declared:write", more=vault, prefix=limited, typed=f"{target}\n")
        _one_line(ended, UNHANDLED, f"keeper: {target} cannot be written: ")
        assert [each.name for each in folder.iterdir()] == ["letter.pgp"]
        assert target.read_bytes() == b"the letter of yesterday"
