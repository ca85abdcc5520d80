"""Wrong passwords cost time, more each time, across restarts, whatever is done to the clock or to the process."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.enclave.cheap import CHEAP
from tests.enclave.children import at_each_death, in_child
from trollbridge.enclave.access import Access
from trollbridge.enclave.attempts import FREE, LONGEST, delay
from trollbridge.enclave.database import Database
from trollbridge.messages import password as pw
from trollbridge.messages.errors import StorageFailed, TooManyAttempts, TrollbridgeError, WrongPassword
from trollbridge.messages.vault import PASSWORD_ONLY, Challenge

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET: Final = "secret"
NOON: Final = 1_800_000_000.0


class Clocks:
    """A clock that only moves forward, and the time of day, both by hand."""

    def __init__(self) -> None:
        """Start at noon."""
        self.steady = 1000.0
        self.day = NOON

    def pass_(self, seconds: float) -> None:
        """Let time pass."""
        self.steady += seconds
        self.day += seconds


@pytest.fixture
def clocks() -> Clocks:
    """Return clocks of the test's own."""
    return Clocks()


def opened(path: str, clocks: Clocks) -> Access:
    """Return the way into the vault, by these clocks."""
    return Access(path, floor=CHEAP, clock=lambda: clocks.steady, now=lambda: clocks.day)


def made(path: str, clocks: Clocks) -> Access:
    """Make a vault under `SECRET`, locked."""
    access = opened(path, clocks)
    access.create(PASSWORD_ONLY, pw.new_verifier(SECRET, CHEAP))
    access.lock()
    return access


def guess(access: Access, word: str = "wrong") -> None:
    """Try a password."""
    access.unlock(PASSWORD_ONLY, pw.prove(word, access.challenge(), CHEAP))


def guess_wrong(access: Access, times: int = 1) -> None:
    """Try a wrong password, and wait out what that costs."""
    for _ in range(times):
        with pytest.raises(WrongPassword):
            guess(access)


def test_the_cost_doubles_from_the_fourth_on() -> None:
    """Two seconds, four, … 256, then five minutes, however many there are (A25)."""
    assert [delay(number) for number in range(FREE + 1)] == [0.0] * 4
    assert [delay(number) for number in range(4, 14)] == [2, 4, 8, 16, 32, 64, 128, 256, LONGEST, LONGEST]
    assert delay(2**62) == LONGEST


def test_an_attempt_that_comes_too_early_is_not_taken(path: str, clocks: Clocks) -> None:
    """Neither a challenge nor an answer to one from before, right or wrong; and it is not counted (A25)."""
    access = made(path, clocks)
    before = access.challenge()
    guess_wrong(access, 4)
    assert (access.status().failed_attempts, access.status().wait) == (4, 2.0)
    attempts: list[Callable[[], object]] = [
        access.challenge,
        lambda: access.unlock(PASSWORD_ONLY, pw.prove(SECRET, before, CHEAP)),
        lambda: access.prove(pw.prove(SECRET, before, CHEAP)),
        lambda: access.change_password(pw.prove(SECRET, before, CHEAP), pw.new_verifier("new", CHEAP)),
    ]
    for attempt in attempts:
        with pytest.raises(TooManyAttempts, match=r"wait 2 seconds"):
            attempt()
    clocks.pass_(1.5)
    with pytest.raises(TooManyAttempts, match=r"wait 1 second before"):
        access.challenge()
    clocks.pass_(0.5)
    assert access.status().wait == 0
    guess(access, SECRET)
    assert (access.status().state, access.status().failed_attempts) == ("open", 0)
    access.close()


def test_the_cost_outlasts_the_process(path: str, clocks: Clocks) -> None:
    """A restart, ten restarts, gain nothing; what has passed meanwhile counts (A25)."""
    access = made(path, clocks)
    guess_wrong(access, 4)
    for _ in range(3):
        clocks.pass_(2 ** (access.status().failed_attempts - 3))
        guess_wrong(access)
    assert access.status().wait == 16
    for _ in range(10):
        access.close()
        access = opened(path, clocks)
        assert (access.status().failed_attempts, access.status().wait) == (7, 16.0)
        with pytest.raises(TooManyAttempts):
            guess(access, SECRET)
    access.close()
    clocks.pass_(6)
    access = opened(path, clocks)
    assert access.status().wait == 10
    clocks.pass_(10)
    guess(access, SECRET)
    access.close()


@pytest.mark.parametrize("change", [-86_400.0, -20.0, -1.0])
def test_a_clock_set_back_neither_shortens_nor_lengthens_the_wait(path: str, clocks: Clocks, change: float) -> None:
    """It is waited out whole, once, in the same process and after a restart (A25)."""
    access = made(path, clocks)
    guess_wrong(access, 4)
    clocks.day += change
    assert access.status().wait == 2
    access.close()
    access = opened(path, clocks)
    assert access.status().wait == 2
    clocks.pass_(2)
    guess(access, SECRET)
    access.close()


def test_a_clock_set_forward_gains_nothing_in_a_process_that_runs(path: str, clocks: Clocks) -> None:
    """Its wait runs by a clock that nobody sets (A25)."""
    access = made(path, clocks)
    guess_wrong(access, 4)
    clocks.day += 1e6
    assert access.status().wait == 2
    with pytest.raises(TooManyAttempts):
        guess(access, SECRET)
    access.close()


def test_a_fresh_proof_is_counted_like_an_unlocking(path: str, clocks: Clocks) -> None:
    """What asks for the password again is no way around the count, and none at all is not counted (A25)."""
    access = made(path, clocks)
    guess(access, SECRET)
    for _ in range(4):
        with pytest.raises(WrongPassword):
            access.prove(pw.prove("wrong", access.challenge(), CHEAP))
    with pytest.raises(WrongPassword, match="once more"):
        access.prove(None)
    assert (access.status().state, access.status().failed_attempts) == ("open", 4)
    clocks.pass_(2)
    access.prove(pw.prove(SECRET, access.challenge(), CHEAP))
    assert access.status().failed_attempts == 0
    access.close()


def failures(path: str) -> int:
    """Return how many wrong passwords the file counts."""
    database = Database.open(path)
    try:
        return database.attempts()[0]
    finally:
        database.close()


def test_a_process_that_is_killed_while_it_judges_has_counted(path: str, clocks: Clocks) -> None:
    """Whenever it is killed: an answer that was computed was counted first, on the disk (A25, A58)."""
    made(path, clocks).close()
    folder = Path(path).parent

    def guessing() -> Callable[[], None]:
        access = opened(path, clocks)
        challenge = access.challenge()
        proof = pw.prove("wrong", challenge, CHEAP)

        def act() -> None:
            try:
                access.unlock(PASSWORD_ONLY, proof)
            except WrongPassword:
                (folder / "answered").touch()
                os.getppid()

        return act

    def left_by(left: Path) -> tuple[int, bool]:
        return failures(str(left / Path(path).name)), (left / "answered").exists()

    found = at_each_death(guessing, folder, left_by)
    assert found == sorted(found), "once it is counted, no later death takes that back"
    assert set(found) == {(0, False), (1, False), (1, True)}, "no answer without a count"


def _refusal(access: Access, challenge: Challenge) -> str:
    try:
        access.unlock(PASSWORD_ONLY, pw.prove(SECRET, challenge, CHEAP))
    except TrollbridgeError as error:
        return f"{type(error).__name__}: {error}"
    return "opened"


def test_what_cannot_be_counted_is_not_judged(path: str, clocks: Clocks) -> None:
    """On a full disk not even the right password opens: the count cannot be switched off (A25)."""
    made(path, clocks).close()

    def on_a_full_disk() -> str:
        access = opened(path, clocks)
        challenge = access.challenge()
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        return _refusal(access, challenge)

    assert in_child(on_a_full_disk).startswith("StorageFailed: The attempt cannot be counted")
    access = opened(path, clocks)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Database, "set_attempts", _refuse)
        with pytest.raises(StorageFailed):
            guess(access, SECRET)
    assert access.status().state == "locked"
    guess(access, SECRET)
    assert access.status().state == "open"
    access.close()


def _refuse(*_: object) -> None:
    raise StorageFailed
