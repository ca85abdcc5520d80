"""An enclave made after SPEC.md serves the shipped UI through the shipped broker, each a real process."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from tests.spec.enclave import Enclave, Export, FaultError
from tests.spec.processes import (
    BOOT,
    DISMANTLE,
    DISMANTLED,
    JOIN,
    OPEN_LINK,
    PING,
    PONG,
    READY,
    SAMPLE,
    SEAL,
    Child,
    children,
    give_credentials,
    pair,
)
from tests.spec.ring import greeted

if TYPE_CHECKING:
    from tests.spec.packing import Value

EPOCH: Final = 3
TEXT: Final[list[Value]] = [1, "str"]
BYTES: Final[list[Value]] = [1, "bytes"]
INT: Final[list[Value]] = [1, "int"]
NONE: Final[list[Value]] = [1, "none"]


def double(*arguments: Value) -> Value:
    """Return a text twice."""
    [text] = arguments
    assert isinstance(text, str)
    return text * 2


def reverse(*arguments: Value) -> Value:
    """Return bytes backwards."""
    [data] = arguments
    assert isinstance(data, bytes)
    return data[::-1]


def count(*arguments: Value) -> Value:
    """Return the items of a stream: the first numbers."""
    [items] = arguments
    assert isinstance(items, int)
    return [*range(items)]


def locked(*_: Value) -> Value:
    """Refuse as a vault that is locked."""
    raise FaultError(33, "VaultLocked", "The vault is locked.")


EXPORTS: Final = {
    "double": Export(double, [["text", TEXT, None]], TEXT),
    "reverse": Export(reverse, [["data", BYTES, None]], BYTES, max_bytes=4 << 20),
    "secret": Export(lambda *_: b"only for the core", [], BYTES, sensitive=True),
    "locked": Export(locked, [], NONE),
    "count": Export(count, [["items", INT, None]], NONE, item=INT),
    "finish": Export(lambda *_: None, [], NONE),
}


def form(broker: Child, console: Child) -> tuple[Enclave, bytes]:
    """Bring both processes and our enclave to the seal; return the enclave and the ring key's fingerprint."""
    console_token, enclave_token, session_token = (os.urandom(32) for _ in range(3))
    broker.say(BOOT, "broker", "broker", "", [], [], None, "", "", 0, "")
    consoles_link, consoles_end = pair()
    ours, our_link = pair()
    console.say(BOOT, "console", "ui", "spec_console:Console", [], [SAMPLE], None, "", "", 0, "", give=consoles_end)
    greeted(broker)
    greeted(console)
    names: list[Value] = [f"own.{name}" for name in EXPORTS]
    for end in (consoles_link, our_link):
        give_credentials(end)
    broker.say(OPEN_LINK, EPOCH, "console", "ui", console.pid, console_token, names, ["own"], "", give=consoles_link)
    broker.say(OPEN_LINK, EPOCH, "own", "enclave", os.getpid(), enclave_token, [], ["console"], "", give=our_link)
    broker.say(JOIN, EPOCH, bytes(32), [], [], b"", [])
    console.say(
        JOIN,
        EPOCH,
        console_token,
        [["console", "ui", "own", "enclave", session_token, [[each, [], 0, 0, False, 0] for each in EXPORTS], ""]],
        [],
        b"",
        [],
    )
    enclave = Enclave(ours, "own", EPOCH, EXPORTS)
    enclave.join(enclave_token)
    mark = enclave.welcome("console", session_token)
    assert broker.expect(READY) == [EPOCH, b""]
    return enclave, mark


def test_the_shipped_user_interface_calls_an_enclave_made_after_the_specification() -> None:
    """A13, A22, A41: typed calls, long contents both ways, 300 in flight, a sensitive result, a fault; then the end."""
    with children("broker", "ui") as (broker, console):
        enclave, mark = form(broker, console)
        assert console.expect(READY) == [EPOCH, mark]
        for child in (broker, console):
            child.say(SEAL, [["console", "ui", console.pid], ["own", "enclave", os.getpid()]], [])
        enclave.serve("finish")
        assert console.wait() == 0
        assert enclave.refused == 0
        assert len(enclave.answered) == 305
        assert enclave.halted == 1
        assert broker.expect_notice()[:2] == ["link.lost", "console"]
        enclave.end.close()


def test_a_user_interface_without_a_seal_runs_no_code_of_its_own() -> None:
    """A13: it answers, lets go of its keys when the ring falls before the seal, and has called nothing."""
    with children("broker", "ui") as (broker, console):
        enclave, mark = form(broker, console)
        assert console.expect(READY) == [EPOCH, mark]
        console.say(PING, 5)
        assert console.expect(PONG) == [5]
        console.say(DISMANTLE, "the test is over", "")
        assert console.expect(DISMANTLED) == [EPOCH]
        broker.say(DISMANTLE, "the test is over", "")
        assert broker.wait() == 0
        assert enclave.answered == []
        enclave.end.close()
