"""The two layers in a whole ring, under the lock: a real Secret Service, reached by a one-shot process of its own."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final

import pytest

from tests.enclave import keychain_acts
from tests.enclave.memory_scan import scan
from tests.harness.ordinary import ROOT
from tests.harness.puppeteer import Puppeteer, Told
from tests.harness.secret_service import SecretService, State, running
from trollbridge.messages.vault import KEYCHAIN_ONLY, PASSWORD_ONLY, TWO_LAYERS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PASSWORD: Final = "correct horse"
NEW: Final = "battery staple"
SPARE: Final = "on paper in the safe"
APPLICATION: Final = "tests.enclave.keychain_acts:application"


def started(service: SecretService, folder: Path) -> Puppeteer:
    """Start the application where the Secret Service can be found."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    puppet = Puppeteer(APPLICATION, {"path": str(home / "a.vault")}, environment=service.environment)
    puppet.await_epoch(1)
    return puppet


def refusal(act: Callable[[], object]) -> str:
    """Return the error that an act ends with."""
    with pytest.raises(Told) as told:
        act()
    return f"{told.value.kind}: {told.value.text}"


def test_a_vault_of_two_layers_lives_in_a_whole_ring(tmp_path: Path) -> None:
    """Made, opened, changed in every way, recovered; the root is in the keychain and in no log (A47, A29, A25)."""
    with running(tmp_path / "s") as service, started(service, tmp_path) as puppet:
        assert puppet.act(keychain_acts.create, password=PASSWORD, mode=TWO_LAYERS) == TWO_LAYERS
        [(first, root)] = service.items().items()
        puppet.result("vault.generate", "Alice")
        puppet.result("vault.lock")
        wrong = refusal(lambda: puppet.act(keychain_acts.unlock, password=PASSWORD, mode=PASSWORD_ONLY))
        assert wrong.startswith("WrongMode")
        known = bytes.fromhex(first.split(".")[0])
        unlock = functools.partial(puppet.act, keychain_acts.unlock, mode=TWO_LAYERS)
        for other, password in ((bytes(16), PASSWORD), (bytes(16), None), (b"", None)):
            wrong = refusal(functools.partial(unlock, password=password, known=other))
            assert wrong.startswith("AuthenticationFailed"), "before the proof, or the lack of one, is looked at"
        puppet.act(keychain_acts.unlock, password=PASSWORD, mode=TWO_LAYERS, known=known)
        puppet.act(keychain_acts.rotate_root, password=PASSWORD)
        [(second, other)] = service.items().items()
        assert (first.split(".")[0], first != second, root != other) == (second.split(".")[0], True, True)
        puppet.act(keychain_acts.change_password, password=PASSWORD, new=NEW)
        data = puppet.act(keychain_acts.export_recovery, password=NEW, recovery_password=SPARE)
        service.put(second, b"lost")
        puppet.result("vault.lock")
        lost = refusal(lambda: puppet.act(keychain_acts.unlock, password=NEW, mode=TWO_LAYERS))
        assert lost.startswith("KeychainFailed")
        puppet.act(keychain_acts.recover, data=data, recovery_password=SPARE)
        assert service.items() == {second: other}
        puppet.act(keychain_acts.unlock, password=NEW, mode=TWO_LAYERS)
        assert puppet.result("vault.export_public", "Alice").startswith(b"-----BEGIN PGP PUBLIC")
        puppet.act(keychain_acts.change_mode, password=NEW, mode=KEYCHAIN_ONLY, new=None)
        puppet.result("vault.lock")
        puppet.act(keychain_acts.unlock, password=None, mode=KEYCHAIN_ONLY, known=known)
        puppet.act(keychain_acts.change_mode, password=None, mode=PASSWORD_ONLY, new=PASSWORD)
        assert service.items() == {}
        assert puppet.leave() == 0
        log = "\n".join(map(repr, puppet.lines()))
        for secret in (root, other):
            assert secret.decode() not in log
        ended = puppet.lines("errand.ended")
        assert len(ended) == len(puppet.lines("errand.started")) > 10
        assert all(each.expected for each in ended)


def test_no_process_keeps_a_root_where_it_can_be_read(tmp_path: Path) -> None:
    """Supervisor, broker, UI and vault, while it is open and after it was locked: nothing to be found (A1, A37, A47).

    As an ordinary user, none of them can be looked into at all.
    """
    with running(tmp_path / "s") as service, started(service, tmp_path) as puppet:
        puppet.act(keychain_acts.create, password=PASSWORD, mode=TWO_LAYERS)
        [text] = service.items().values()
        secrets = {"root": bytes.fromhex(text.decode()), "root, as it is kept": text}
        pids = {each: puppet.pid(each) for each in ("broker", "puppet", "vault")} | {"supervisor": puppet.supervisor}
        for moment in ("made", "locked", "opened again"):
            if moment == "locked":
                puppet.result("vault.lock")
            if moment == "opened again":
                puppet.act(keychain_acts.unlock, password=PASSWORD, mode=TWO_LAYERS)
            for member, pid in pids.items():
                if not ROOT:
                    with pytest.raises(PermissionError):
                        scan(pid, secrets)
                    continue
                assert scan(pid, secrets).counts == dict.fromkeys(secrets, 0), (member, moment)
        assert puppet.leave() == 0


@pytest.mark.parametrize(
    ("state", "sentence"),
    [(State.LOCKED, "is locked"), (State.EMPTY, "no default collection"), (State.NO_BUS, "no D-Bus session")],
    ids=lambda each: str(getattr(each, "value", each)),
)
def test_without_a_keychain_it_is_refused_or_the_weaker_mode_is_asked_for(
    tmp_path: Path, state: State, sentence: str
) -> None:
    """Never silently: the sentence says why, nothing is made, and the chosen mode is reported (A47, R9)."""
    with running(tmp_path / "s", state) as service, started(service, tmp_path) as puppet:
        for password, mode in ((PASSWORD, TWO_LAYERS), (None, KEYCHAIN_ONLY)):
            found = refusal(functools.partial(puppet.act, keychain_acts.create, password=password, mode=mode))
            assert found.startswith("KeychainFailed")
            assert sentence in found
        assert list((tmp_path / "home").iterdir()) == []
        assert puppet.act(keychain_acts.create, password=PASSWORD, mode=PASSWORD_ONLY) == PASSWORD_ONLY
        assert puppet.leave() == 0
