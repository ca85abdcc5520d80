"""Two layers on the command line, with a real Secret Service: neither opens anything without the other (A29, A47)."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from tests.harness import secret_service
from tests.harness.secret_service import State
from tests.ui_adapter.vaults import PASSWORD, Safe
from trollbridge.ui_adapter.vault import exit_codes

if TYPE_CHECKING:
    from pathlib import Path

    from tests.harness.secret_service import SecretService


class _Session(Safe):
    """A vault, and the desktop session that its commands run in."""

    def __init__(self, place: Path, service: SecretService) -> None:
        super().__init__(place, cheap=True)
        self._service = service

    @property
    def variables(self) -> dict[str, str]:
        """The variables of the session, too."""
        return {**super().variables, **self._service.environment}


def test_a_vault_of_two_layers_opens_with_both_and_moves_to_another_machine(tmp_path: Path) -> None:
    """A47: made, opened, rotated; without the keychain refused, with the recovery file and another keychain opened."""
    (tmp_path / "old").mkdir()
    with secret_service.running(tmp_path / "bus") as service:
        safe = _Session(tmp_path / "old", service)
        made = safe.must("vault", "create", "--json")
        assert made.json["status"]["mode"] == "keychain-and-password"
        assert "vault recovery export FILE" in made.said[-1]
        assert len(service.items()) == 1
        safe.must("secret", "set", "token", data=b"kept")
        before = service.items()
        safe.must("vault", "rotate")
        assert service.items() != before
        recovery, words = safe.place / "recovery", safe.file("words", b"words of the recovery file\n")
        safe.must("vault", "recovery", "export", str(recovery), "--recovery-password-file", str(words))
        assert recovery.stat().st_mode & 0o777 == 0o600
        root = next(iter(service.items().values()))
        assert root not in recovery.read_bytes()
        assert PASSWORD.encode() not in recovery.read_bytes()
    safe.refuses(exit_codes.KEYCHAIN, "", "secret", "get", "token")

    (tmp_path / "new" / "vault").mkdir(parents=True)
    with secret_service.running(tmp_path / "new-bus") as service:
        moved = _Session(tmp_path / "new", service)
        shutil.copy(safe.path, moved.path)
        moved.refuses(exit_codes.KEYCHAIN, "recovery file", "secret", "get", "token")
        command = ("vault", "recovery", "import", str(recovery), "--recovery-password-file")
        assert moved.bare(*command, str(moved.password)).code == exit_codes.WRONG_PASSWORD
        assert moved.bare(*command, str(words)).code == 0
        assert moved.must("secret", "get", "token").out == b"kept"


def test_modes_change_only_when_it_is_said(tmp_path: Path) -> None:
    """A47: from the keychain to both layers, to the password alone; what is known of a vault is demanded of it.

    A keychain-only vault in its place, which would ask for nothing, gets nothing; a mode that was changed elsewhere is
    taken once it is named.
    """
    (tmp_path / "safe").mkdir()
    with secret_service.running(tmp_path / "bus") as service:
        safe = _Session(tmp_path / "safe", service)
        assert safe.bare("vault", "create", "--keychain-only").code == 0
        assert safe.bare("vault", "change-password").code == exit_codes.KEYCHAIN
        assert safe.bare("secret", "set", "token", data=b"kept").code == 0
        new = ("--new-password-file", str(safe.password))
        assert safe.bare("vault", "change-mode", "keychain-and-password", *new).code == 0
        shutil.move(safe.path.parent, tmp_path / "taken")
        thief, elsewhere = ({"XDG_STATE_HOME": str(tmp_path / name)} for name in ("thief", "elsewhere"))
        assert safe.bare("vault", "create", "--keychain-only", more=thief).code == 0
        safe.refuses(exit_codes.KEYCHAIN, "another vault (keychain-only)", "secret", "set", "token", data=b"new")
        shutil.rmtree(safe.path.parent)
        shutil.move(tmp_path / "taken", safe.path.parent)
        changed = safe.run("vault", "change-mode", "password-only", more=elsewhere)
        assert "protected by: password-only" in changed.text
    safe.refuses(exit_codes.KEYCHAIN, "--mode password-only accepts it", "secret", "get", "token")
    assert safe.must("secret", "get", "token", "--mode", "password-only").out == b"kept"


def test_what_the_keychain_lacks_is_told(tmp_path: Path) -> None:
    """R9: none, locked: refused with its own code, and no vault is made; the way out is named."""
    for state in (State.NO_BUS, State.LOCKED):
        place = tmp_path / state.name
        place.mkdir()
        with secret_service.running(tmp_path / f"bus-{state.name}", state) as service:
            safe = _Session(place, service)
            safe.refuses(exit_codes.KEYCHAIN, "keychain", "vault", "create")
            assert not safe.path.exists()
