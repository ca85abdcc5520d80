"""Errors: one root, a sentence for a person in each, and a closed set of numbers for those that travel."""

from __future__ import annotations

import importlib
import pickle
import pkgutil

import pytest

import trollbridge.messages
from trollbridge.messages.errors import (
    CallError,
    DeclaredError,
    ErrorCode,
    HandlerFailed,
    InvalidArguments,
    NotGranted,
    Outcome,
    ProtocolError,
    Quarantined,
    Refused,
    RingDismantled,
    ServerLost,
    TrollbridgeError,
    WrongPassword,
    from_wire,
)


def every_error() -> list[type[TrollbridgeError]]:
    """Return every error class of `messages`, after importing all of it."""
    for module in pkgutil.iter_modules(trollbridge.messages.__path__):
        importlib.import_module(f"trollbridge.messages.{module.name}")
    found: list[type[TrollbridgeError]] = []
    waiting: list[type[TrollbridgeError]] = [TrollbridgeError]
    while waiting:
        kind = waiting.pop()
        found.append(kind)
        waiting += kind.__subclasses__()
    return sorted(
        (each for each in found if each.__module__.startswith("trollbridge.messages.")), key=lambda kind: kind.__name__
    )


def test_there_are_as_many_errors_as_are_looked_at() -> None:
    """I6: the corpus of the next test is whole."""
    assert len(every_error()) >= 39


@pytest.mark.parametrize("kind", every_error(), ids=lambda kind: str(kind.__name__))
def test_every_error_speaks_a_sentence(kind: type[TrollbridgeError]) -> None:
    """I6: the first line of its docstring, ended by a full stop; a text of one's own takes its place."""
    own = (kind.__doc__ or "").strip().splitlines()[0]
    shown = str(kind())
    assert (own[-1], own[0].isupper()) == (".", True)
    assert shown.endswith("look before you call it again.") if kind in (RingDismantled, ServerLost) else shown == own
    assert str(kind("another")) == "another"


def test_a_fallen_ring_says_what_became_of_the_call() -> None:
    """A58: the outcome is a value, and its sentence says whether to call again; who may have, is not told to."""
    found = [RingDismantled(outcome=each, handler="till.slow") for each in Outcome]
    assert [each.outcome for each in found] == [Outcome.NOT_STARTED, Outcome.DONE, Outcome.UNKNOWN]
    fell, look = "the trust ring was dismantled", "look before you call it again."
    assert [str(each) for each in found] == [
        f"till.slow was not started, as {fell}: call it again once bridge.wait_sealed() returns.",
        f"till.slow was done and its reply is lost, as {fell}: do not call it again.",
        f"till.slow may have been running when {fell}, and nobody knows how far it came: {look}",
    ]


def test_a_lost_host_says_whether_it_comes_back() -> None:
    """A58, A45: by what the client was told; and of a call that may have run, nobody says to call it again."""
    told = {
        (each, gone): str(ServerLost(outcome=each, handler="a.b", gone=gone))
        for each in Outcome
        for gone in (False, True)
    }
    assert told == {
        (
            Outcome.NOT_STARTED,
            False,
        ): "a.b was not started, as its host ended: the host is started again, so call it again in a moment.",
        (
            Outcome.NOT_STARTED,
            True,
        ): "a.b was not started, as its host ended: the host does not come back as long as this ring stands.",
        **dict.fromkeys(
            [(Outcome.DONE, False), (Outcome.DONE, True)],
            "a.b was done and its reply is lost, as its host ended: do not call it again.",
        ),
        **dict.fromkeys(
            [(Outcome.UNKNOWN, False), (Outcome.UNKNOWN, True)],
            "a.b may have been running when its host ended, and nobody knows how far it came: look before you call it "
            "again.",
        ),
    }


def test_a_call_in_quarantine_says_which_and_who_lifts_it() -> None:
    """K4: its server tells no more than the number; the client knows the handler."""
    assert str(Quarantined(handler="grave.die")) == (
        "grave.die was running with these arguments at two ends of its server, so it is not run again until the "
        "application ends or an operator restarts grave (trollbridge restart)."
    )


def test_the_numbers_of_errors_never_change() -> None:
    """A11: two versions of the program mean the same by a number."""
    assert {each.name: each.value for each in ErrorCode} == {
        "REFUSED": 1, "NOT_GRANTED": 2, "NO_SUCH_HANDLER": 3, "INVALID_ARGUMENTS": 4, "TOO_LARGE": 5,
        "DEADLINE_EXCEEDED": 6, "CANCELLED": 7, "HANDLER_FAILED": 8, "OVERLOADED": 9, "DECLARED": 10,
        "QUARANTINED": 11,
        "WRONG_PASSWORD": 32, "VAULT_LOCKED": 33, "VAULT_CORRUPT": 34, "VAULT_IN_USE": 35, "VAULT_EXISTS": 36,
        "VAULT_MISSING": 37, "NO_SUCH_KEY": 38, "KEY_UNUSABLE": 39, "CANNOT_DECRYPT": 40, "BAD_SIGNATURE": 41,
        "NOT_OPENPGP": 42, "STORAGE_FAILED": 43, "INVALID_NAME": 44,
        "TOO_MANY_ATTEMPTS": 45, "WRONG_MODE": 46, "KEYCHAIN_FAILED": 47, "ROOT_MISSING": 48,
        "NOT_A_RECOVERY_FILE": 49, "KEY_LOCKED": 50, "KEY_EXISTS": 51, "NO_SUCH_SECRET": 52, "SECRET_EXISTS": 53,
        "USE_ONLY": 54, "NOT_ALLOWED": 55, "APPROVAL_NEEDED": 56, "APPROVAL_REFUSED": 57, "NOT_A_SEALED_FILE": 58,
        "FILE_DAMAGED": 59, "NO_SUCH_JOB": 60,
    }  # fmt: skip


def test_an_error_that_travels_comes_back_as_its_class() -> None:
    """A14: each number that has a class gives that class and the text that was sent."""
    wrong = from_wire(32, "WrongPassword", "no")
    assert (type(wrong), str(wrong)) == (WrongPassword, "no")
    assert [type(from_wire(number, "", "text")) for number in (1, 2, 4, 8)] == [
        Refused, NotGranted, InvalidArguments, HandlerFailed,
    ]  # fmt: skip
    travelling = {each.code: each for each in every_error() if issubclass(each, CallError) and "code" in vars(each)}
    assert len(travelling) >= len(ErrorCode) - 1
    assert {number: type(from_wire(number, "", "")) for number in travelling} == travelling


@pytest.mark.parametrize("code", [0, 12, -1, 10_000, 2**63])
def test_an_unknown_number_is_a_refusal(code: int) -> None:
    """A11: a newer or hostile peer cannot make up a class."""
    assert type(from_wire(code, "SystemExit", "text")) is Refused


def test_a_declared_error_keeps_the_name_that_it_was_declared_under() -> None:
    """A14, P5: the name is text and is looked up nowhere."""
    found = from_wire(ErrorCode.DECLARED, "os:system", "no paper left")
    assert (type(found), getattr(found, "name", ""), str(found)) == (DeclaredError, "os:system", "no paper left")


def test_a_subclass_of_a_declared_error_names_itself() -> None:
    """A17: what an enclave of one's own declares."""

    class OutOfPaper(DeclaredError):
        """There is no paper left."""

    error = OutOfPaper()
    assert (error.name, error.code, str(error)) == ("OutOfPaper", ErrorCode.DECLARED, "There is no paper left.")


def test_what_a_peer_did_wrong_is_no_error_of_a_call() -> None:
    """I6: a protocol error is for our own log; a caller is never handed one by its number."""
    assert [each for each in every_error() if issubclass(each, ProtocolError) and issubclass(each, CallError)] == []


@pytest.mark.parametrize("kind", every_error(), ids=lambda kind: str(kind.__name__))
def test_an_error_survives_what_libraries_do_to_errors(kind: type[TrollbridgeError]) -> None:
    """A57: a user's own actors may copy an error from process to process; its sentence stays."""
    assert str(pickle.loads(pickle.dumps(kind("text")))) == "text"  # noqa: S301  # our own bytes
