"""The one-shot process of the OS keychain, against a real Secret Service: what it keeps, and what it says if not."""

from __future__ import annotations

import hashlib
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Final

import pytest
from keyring.backends import SecretService as Backend

from tests.enclave.cheap import CHEAP
from tests.enclave.keepers import FolderKeeper
from tests.harness.ordinary import ordinary
from tests.harness.secret_service import SecretService, State, running
from trollbridge.actors.supervision.heartbeat import SILENT
from trollbridge.enclave import keychain, keychain_client
from trollbridge.enclave.access import Access
from trollbridge.enclave.keychain_client import PATIENCE, WHOLE, Keychain, NoKeychain
from trollbridge.enclave.keychain_words import ANSWER_SIZE, REQUEST, REQUEST_SIZE, Verb, Word, account
from trollbridge.messages.errors import KeychainFailed, RootMissing
from trollbridge.messages.secret import Secret
from trollbridge.messages.vault import KEYCHAIN_ONLY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

VAULT: Final = bytes(range(16))
OTHER: Final = bytes(16)
ROOT: Final = bytes(range(100, 132))
PROGRAM: Final = """
import socket, sys
from trollbridge.enclave import keychain
keychain.prepare()
with socket.socket(fileno=int(sys.argv[1])) as end:
    keychain.run(end, ())
"""


class Spawner:
    """Starts the process, unlocked, as an enclave has it started."""

    def __init__(self, service: SecretService, home: Path, *, as_nobody: bool) -> None:
        """Take what it is to reach, and as whom."""
        self._environment = service.environment
        self._home = home if as_nobody else None
        self._started: list[subprocess.Popen[bytes]] = []

    def __call__(self) -> socket.socket:
        """Return the near end."""
        near, far = socket.socketpair()
        with far:
            command = [sys.executable, "-I", "-c", PROGRAM, str(far.fileno())]
            command = command if self._home is None else ordinary(command, self._home)
            process = subprocess.Popen(command, env=self._environment, pass_fds=(far.fileno(),))
        self._started.append(process)
        return near

    def codes(self) -> list[int]:
        """Return with which code each has ended."""
        return [each.wait(60) for each in self._started]


def beside() -> socket.socket:
    """Run the same code in a thread of this process, which is quicker; return the near end."""
    near, far = socket.socketpair()

    def work() -> None:
        with far:
            keychain.run(far, ())

    threading.Thread(target=work).start()
    return near


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecretService]:
    """Have an unlocked Secret Service, which this process finds too."""
    with running(tmp_path_factory.mktemp("k", numbered=True) / "s") as made, made.reached():
        yield made


def held(root: Secret) -> bytes:
    """Return the bytes of a root."""
    found = bytes(root.view)
    root.drop()
    return found


@pytest.fixture
def vault(request: pytest.FixtureRequest) -> bytes:
    """Return the id of a vault that no other test has."""
    return hashlib.sha256(request.node.name.encode()).digest()[:16]


@pytest.mark.parametrize("as_nobody", [False, True], ids=["as we are", "as an ordinary user"])
def test_a_root_comes_back_as_it_was_stored(vault: bytes, *, as_nobody: bool) -> None:
    """By a process of its own for each request; another vault's and another number's are missing (A47)."""
    with tempfile.TemporaryDirectory() as outer:  # not under tmp_path, whose parents are closed to others
        Path(outer).chmod(0o755)
        with running(Path(outer) / "s", as_nobody=as_nobody) as service:
            spawner = Spawner(service, Path(outer) / "s", as_nobody=as_nobody)
            kept = Keychain(spawner)
            kept.store(vault, 1, Secret.of(ROOT))
            assert held(kept.fetch(vault, 1)) == ROOT
            for each, number in ((vault, 2), (OTHER, 1)):
                with pytest.raises(RootMissing):
                    kept.fetch(each, number)
            kept.remove(vault, 1)
            with pytest.raises(RootMissing):
                kept.fetch(vault, 1)
            assert spawner.codes() == [0] * 6


def test_a_root_replaces_that_of_its_number_and_a_removal_takes_the_older_along(
    service: SecretService, vault: bytes
) -> None:
    """What a process that was killed has left over does not stay; other vaults' roots do (A47)."""
    kept = Keychain(beside)
    before = set(service.items())
    for number in (1, 2, 3, 10):
        kept.store(vault, number, Secret.of(bytes(32)))
        kept.store(vault, number, Secret.of(ROOT))
    kept.store(OTHER, 1, Secret.of(ROOT))
    service.put(f"{vault.hex()}.x", b"no number")
    kept.remove(vault, 3)
    assert set(service.items()) - before == {account(vault, 10), account(OTHER, 1), f"{vault.hex()}.x"}
    assert held(kept.fetch(vault, 10)) == ROOT
    assert service.items()[account(vault, 10)] == ROOT.hex().encode()
    kept.remove(vault, 10)
    kept.remove(vault, 10)
    kept.remove(OTHER, 1)


@pytest.mark.parametrize("kept", [b"", b"short", b"zz" * 32, b"\xff\xfe", ROOT, ROOT.hex().encode() + b"00"])
def test_what_is_no_root_is_told(service: SecretService, vault: bytes, kept: bytes) -> None:
    """Something else under that name: its own sentence, and never a short root (A47)."""
    service.put(account(vault, 7), kept)
    with pytest.raises(KeychainFailed, match="recovery file"):
        Keychain(beside).fetch(vault, 7)


SENTENCES: Final = {
    State.LOCKED: "is locked; unlock it",
    State.EMPTY: "no default collection",
    State.NO_SERVICE: "no Secret Service",
    State.NO_BUS: "no D-Bus session",
}


@pytest.mark.parametrize("state", SENTENCES, ids=lambda state: str(state.value))
def test_each_reason_has_its_own_sentence_and_no_prompt_is_waited_for(state: State, tmp_path: Path) -> None:
    """None, locked, none made: told for every request, before any time has run out; nothing is unlocked (A47, R9).

    A prompt that is waited for would end in another sentence: that the keychain does not answer.
    """
    with running(tmp_path / "s", state) as service, service.reached():
        kept = Keychain(beside)
        requests: list[Callable[[], object]] = [
            lambda: kept.fetch(VAULT, 1),
            lambda: kept.store(VAULT, 1, Secret.of(ROOT)),
            lambda: kept.remove(VAULT, 1),
        ]
        for request in requests:
            with pytest.raises(KeychainFailed, match=SENTENCES[state]):
                request()


def test_a_service_that_denies_is_told(tmp_path: Path) -> None:
    """It keeps the root and refuses to show it (A47)."""
    with running(tmp_path / "s", State.DENYING) as service, service.reached():
        kept = Keychain(beside)
        kept.store(VAULT, 1, Secret.of(ROOT))
        with pytest.raises(KeychainFailed, match="refused"):
            kept.fetch(VAULT, 1)


def test_a_keychain_that_is_locked_meanwhile_shows_nothing(tmp_path: Path) -> None:
    """Not even what it has shown before (A47)."""
    with running(tmp_path / "s") as service, service.reached():
        kept = Keychain(beside)
        kept.store(VAULT, 1, Secret.of(ROOT))
        assert held(kept.fetch(VAULT, 1)) == ROOT
        service.lock()
        with pytest.raises(KeychainFailed, match="locked"):
            kept.fetch(VAULT, 1)


def test_a_daemon_that_is_killed_while_it_is_asked(tmp_path: Path) -> None:
    """The request ends with it, before any time has run out, and the next finds no service (A47)."""
    with running(tmp_path / "s") as service, service.reached():
        kept = Keychain(beside)
        kept.store(VAULT, 1, Secret.of(ROOT))
        service.stop()
        killing = threading.Timer(0.2, service.kill)
        killing.start()
        for _ in range(2):
            with pytest.raises(KeychainFailed, match="no Secret Service"):
                kept.fetch(VAULT, 1)
        killing.join()


def test_a_daemon_that_does_not_answer_is_not_waited_for(tmp_path: Path) -> None:
    """Neither by the process, nor by the vault if the process itself hangs (A47)."""
    with running(tmp_path / "s") as service, service.reached():
        service.stop()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(keychain, "PATIENCE", 0.2)
            with pytest.raises(KeychainFailed, match="does not answer"):
                Keychain(beside).fetch(VAULT, 1)
    near, far = socket.socketpair()
    with far, pytest.raises(KeychainFailed, match="did not answer in time"):
        Keychain(lambda: near, patience=0.2).fetch(VAULT, 1)


def test_a_slow_keychain_does_not_have_the_vault_given_up_as_hung(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All requests of one change end before a process counts as hung, each however slow; the vault stays (A47, A57)."""
    assert 2 * PATIENCE < WHOLE < SILENT - PATIENCE
    keeper = FolderKeeper(tmp_path / "roots")
    access = Access(path, floor=CHEAP, keychain=keeper)
    access.create(KEYCHAIN_ONLY, None)
    access.close()
    [kept] = keeper.roots().values()
    asked: list[socket.socket] = []
    passed = [0.0]

    def slow() -> socket.socket:
        """Give the root to whoever asks first and third, let the second wait; each takes more than half of the time."""
        near, far = socket.socketpair()
        asked.append(far)
        passed[0] += 0.6 * WHOLE
        if len(asked) != 2:
            far.sendall(bytes([Word.DONE]) + kept)
        return near

    monkeypatch.setattr(keychain_client, "time", SimpleNamespace(monotonic=lambda: passed[0]))
    access = Access(path, floor=CHEAP, keychain=Keychain(slow, patience=10 * WHOLE))
    with pytest.raises(KeychainFailed, match="in time"):
        access.rotate_root(None)
    assert len(asked) == 2
    access.unlock(KEYCHAIN_ONLY, None)  # what comes later has its own time
    assert len(asked) == 3
    access.close()
    for far in asked:
        far.close()
    access = Access(path, floor=CHEAP, keychain=keeper)
    access.unlock(KEYCHAIN_ONLY, None)
    access.rotate_root(None)
    access.close()


@pytest.mark.parametrize("said", [b"", b"\0", bytes(ANSWER_SIZE - 1)], ids=len)
def test_a_process_that_ends_early_is_told(said: bytes) -> None:
    """Nothing, a word, an answer without its last byte: no root is made of it (A47)."""
    near, far = socket.socketpair()
    with far:
        far.sendall(said)
        far.shutdown(socket.SHUT_WR)
        with pytest.raises(KeychainFailed, match="ended without an answer"):
            Keychain(lambda: near).fetch(VAULT, 1)


def test_an_unknown_word_is_a_failure() -> None:
    """And not a root of zeros (R9)."""
    near, far = socket.socketpair()
    with far:
        far.sendall(b"\xff".ljust(ANSWER_SIZE, b"\0"))
        with pytest.raises(KeychainFailed):
            Keychain(lambda: near).fetch(VAULT, 1)


@pytest.mark.parametrize("request_", [b"", bytes(REQUEST_SIZE), REQUEST.pack(9, VAULT, 1) + ROOT], ids=len)
def test_a_request_that_is_none_is_answered_with_an_error(request_: bytes) -> None:
    """Nothing is raised, so no traceback could quote anything."""
    found = keychain.answer(request_)
    assert found[0] in {Word.UNUSABLE, Word.FAILED}
    assert found[1:] == bytes(32)


class Counting:
    """Starts the code in a thread, and counts."""

    def __init__(self) -> None:
        """Start none."""
        self.started = 0

    def __call__(self) -> socket.socket:
        """Start one more."""
        self.started += 1
        return beside()


def test_a_request_that_was_expected_finds_its_process_there(service: SecretService, vault: bytes) -> None:
    """One, however often it was expected, for one request; the next has its own (A47)."""
    assert service.keyring is not None
    errand = Counting()
    kept = Keychain(errand)
    for _ in range(3):
        kept.expect()
    assert errand.started == 1
    kept.store(vault, 1, Secret.of(ROOT))
    assert errand.started == 1
    assert held(kept.fetch(vault, 1)) == ROOT
    assert errand.started == 2
    kept.remove(vault, 1)


def test_a_process_that_waited_too_long_is_not_asked(
    service: SecretService, vault: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be gone by then; nor is one asked that was let go (A47)."""
    assert service.keyring is not None
    errand = Counting()
    kept = Keychain(errand)
    monkeypatch.setattr(keychain_client, "WARM", -1.0)
    kept.expect()
    kept.expect()
    assert errand.started == 2
    kept.store(vault, 1, Secret.of(ROOT))
    assert errand.started == 3
    monkeypatch.undo()
    kept.expect()
    kept.rest()
    kept.rest()
    kept.remove(vault, 1)
    assert errand.started == 5


def test_a_vault_that_waits_no_longer_is_no_fault_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asked has gone when the answer is there: the process ends as after any other request (A47)."""
    near, far = socket.socketpair()

    def gone(request: bytes) -> bytes:
        near.close()
        return request.ljust(ANSWER_SIZE, b"\0")

    monkeypatch.setattr(keychain, "answer", gone)
    near.sendall(bytes(REQUEST_SIZE))
    with far:
        keychain.run(far, ())
    assert near.fileno() == -1


def test_a_process_that_nobody_asks_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an answer (A59)."""
    monkeypatch.setattr(keychain, "EXPECTED", 0.1)
    with beside() as near:
        assert near.recv(1) == b""


def test_only_the_allowed_back_end_is_used(
    service: SecretService, vault: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of another name is refused, whatever it can do; keyring's own choice is never asked (A47)."""
    assert frozenset({"keyring.backends.SecretService.Keyring"}) == keychain.ALLOWED
    request = REQUEST.pack(Verb.STORE, vault, 20) + ROOT

    class Keyring(Backend.Keyring):
        """Looks like it."""

    with monkeypatch.context() as patch:
        patch.setattr(Backend, "Keyring", Keyring)
        assert keychain.answer(request)[0] == Word.NO_PACKAGE
    assert account(vault, 20) not in service.items()
    assert keychain.answer(request)[0] == Word.DONE
    assert account(vault, 20) in service.items()


def test_without_a_keychain_everything_is_refused() -> None:
    """R9: an error, never a constant."""
    none = NoKeychain()
    requests: list[Callable[[], object]] = [
        lambda: none.fetch(VAULT, 1),
        lambda: none.store(VAULT, 1, Secret.of(ROOT)),
        lambda: none.remove(VAULT, 1),
    ]
    for request in requests:
        with pytest.raises(KeychainFailed):
            request()
