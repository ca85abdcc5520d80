"""Another vault in the place of the known one: a thief who can write the file gets nothing by that (A47, R9)."""

from __future__ import annotations

import shutil
import stat
from typing import TYPE_CHECKING

import pytest

from tests.ui_adapter.vaults import Safe
from trollbridge.messages.errors import WrongMode
from trollbridge.messages.vault import KEYCHAIN_ONLY, LOCKED, PASSWORD_ONLY, TWO_LAYERS, VaultStatus
from trollbridge.ui_adapter.vault import exit_codes
from trollbridge.ui_adapter.vault.known_vaults import Known, KnownVaults
from trollbridge.ui_adapter.vault.refusals import OtherVault

if TYPE_CHECKING:
    from pathlib import Path

PATH = "/srv/ada/vault/keys.vault"


def _status(vault: int = 1, mode: str = TWO_LAYERS) -> VaultStatus:
    return VaultStatus(LOCKED, mode, 0, 0.0, 0, bytes([vault]) * 16)


@pytest.fixture(name="known")
def _known(tmp_path: Path) -> KnownVaults:
    known = KnownVaults(str(tmp_path / "state" / "vaults"), PATH)
    known.remember(_status())
    return known


def test_a_vault_is_opened_in_the_mode_that_is_known(known: KnownVaults, tmp_path: Path) -> None:
    """A47: the file has no say in it any more, `--mode` has; where nothing is known, the file's word counts."""
    assert known.noted() == Known(PATH, "01" * 16, TWO_LAYERS)
    assert known.demanded(_status(), "") == TWO_LAYERS
    with pytest.raises(WrongMode, match=f"--mode {KEYCHAIN_ONLY} accepts it"):
        known.demanded(_status(mode=KEYCHAIN_ONLY), "")
    assert known.demanded(_status(mode=KEYCHAIN_ONLY), KEYCHAIN_ONLY) == KEYCHAIN_ONLY
    assert known.demanded(_status(mode=KEYCHAIN_ONLY), TWO_LAYERS) == TWO_LAYERS  # which the vault then refuses
    for mode in ("", TWO_LAYERS, KEYCHAIN_ONLY):
        with pytest.raises(OtherVault, match="vault adopt"):
            known.demanded(_status(2, KEYCHAIN_ONLY), mode)
    elsewhere = KnownVaults(str(tmp_path / "state" / "vaults"), f"{PATH}2")
    assert elsewhere.noted() is None
    assert elsewhere.demanded(_status(2, KEYCHAIN_ONLY), "") == KEYCHAIN_ONLY


def test_what_is_noted_is_private_and_changes_with_what_is_opened(known: KnownVaults, tmp_path: Path) -> None:
    """One small file for each path, readable by its owner; the last that was accepted counts."""
    (note,) = (tmp_path / "state" / "vaults").iterdir()
    assert (stat.S_IMODE(note.stat().st_mode), stat.S_IMODE(note.parent.stat().st_mode)) == (0o600, 0o700)
    before = note.stat().st_ino
    known.remember(_status())
    assert note.stat().st_ino == before  # nothing is written where nothing has changed
    known.remember(_status(2, PASSWORD_ONLY))
    assert known.demanded(_status(2, PASSWORD_ONLY), "") == PASSWORD_ONLY
    known.forget_other(_status(2))
    assert known.noted() is not None
    known.forget_other(_status(3))
    assert known.noted() is None
    assert [*note.parent.iterdir()] == []


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"\xff", b'{"path":"/other","vault":"01","mode":"password-only"}', b"[1]"]
)
def test_a_note_that_cannot_be_read_stands_for_no_vault(known: KnownVaults, tmp_path: Path, content: bytes) -> None:
    """A half or foreign one is not taken for none; accepting what is there writes it anew."""
    (note,) = (tmp_path / "state" / "vaults").iterdir()
    note.write_bytes(content)
    with pytest.raises(OtherVault, match="cannot be read"):
        known.demanded(_status(), "")
    known.remember(_status())
    assert known.demanded(_status(), "") == TWO_LAYERS


def test_where_nothing_can_be_noted_that_is_told_and_the_work_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    """No home, or one that cannot be written."""
    for folder in ("", "/dev/null/vaults", "/proc/vaults"):
        known = KnownVaults(folder, PATH)
        known.remember(_status())
        assert capsys.readouterr().err.count("could not be noted") == 1
        assert known.demanded(_status(), "") == TWO_LAYERS
        known.forget_other(_status(2))


def test_a_replaced_vault_is_refused_by_every_command_until_it_is_adopted(tmp_path: Path) -> None:
    """A47: nothing is asked and nothing stored; `status` tells it; another path and another account know nothing."""
    safe = Safe(tmp_path, cheap=True)
    safe.create()
    shutil.move(safe.path.parent, tmp_path / "taken")
    more = {"XDG_STATE_HOME": str(tmp_path / "thief")}
    given = ("--password-file", str(safe.password))
    assert safe.bare("vault", "create", "--password-only", *given, more=more).code == 0
    for command in (("secret", "set", "token"), ("vault", "unlock-test", "--mode", "password-only")):
        safe.refuses(exit_codes.KEYCHAIN, "another vault", *command, data=b"sk_live")
    assert "another vault" in safe.bare("vault", "status").text
    unwritable = safe.bare("secret", "list", "--json", *given, more={"XDG_STATE_HOME": "/dev/null"})
    assert (unwritable.code, unwritable.json, len(unwritable.said)) == (0, [], 1)
    adopted = safe.must("vault", "adopt", "--json").json
    assert adopted["known"]["vault"] == adopted["status"]["vault"]
    assert safe.must("secret", "list", "--json").json == []
