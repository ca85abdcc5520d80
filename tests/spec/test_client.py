"""A client made after SPEC.md speaks with the shipped broker and the shipped enclave, each a real process."""

from __future__ import annotations

import secrets
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest

from tests.spec.client import Client, FaultError, Handler
from tests.spec.ring import GRANTED, Ring, sealed
from tests.spec.wire import CALL, FIRST_CREDIT, PART, REFUSAL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.spec.packing import Value

PERSON: Final[list[Value]] = [6, "Person", [["name", [1, "str"]], ["age", [5, [[1, "int"], [1, "none"]]]]]]


@pytest.fixture(scope="module")
def ring() -> Iterator[Ring]:
    """One sealed ring for the tests that leave it as it was."""
    with sealed() as made:
        yield made


@pytest.fixture
def client(ring: Ring) -> Client:
    """Return the client of the ring."""
    return ring.client


def fault(client: Client, handler: str, *arguments: Value, deadline: int = 0) -> FaultError:
    """Return the fault that a call is answered with."""
    with pytest.raises(FaultError) as caught:
        client.call(handler, *arguments, deadline=deadline)
    return caught.value


def test_the_manifest_says_what_the_enclave_exports(client: Client) -> None:
    """A17, A18, A26: the granted handlers with types, defaults and marks; of the others the core UI learns the name."""
    assert sorted(client.handlers) == [f"sample.{name}" for name in GRANTED]
    assert client.peers["sample"].withheld == ["exit", "withheld"]
    found = client.handlers["sample.types"]
    parameters: list[Value] = [
        ["person", PERSON, None],
        ["scores", [2, [1, "float"]], None],
        ["pair", [3, [[1, "int"], [1, "str"]]], None],
        ["notes", [4, [1, "bool"]], None],
        ["missing", [1, "none"], b"\xc0"],
    ]
    result: list[Value] = [4, [5, [PERSON, [1, "none"]]]]
    assert found == Handler(
        "sample", "types", found.code, parameters, result, sensitive=False, idempotent=False, max_bytes=1 << 20
    )
    marks = {name: (each.sensitive, each.idempotent, each.max_bytes) for name, each in client.handlers.items()}
    assert marks["sample.echo"] == (False, True, 4 << 20)
    assert marks["sample.secret"] == (True, False, 1 << 20)
    assert marks["sample.zeros"] == (False, False, 64)
    assert len({each.code for each in client.handlers.values()}) == len(GRANTED)


def test_a_short_call_is_answered(client: Client) -> None:
    """A9, A14: bytes there and back, in one envelope each."""
    assert client.call("sample.echo", b"hello") == b"hello"


def test_values_of_every_type_cross(client: Client) -> None:
    """A10: records, sequences, tuples, maps, options, and the empty option, under the one encoding."""
    arguments: tuple[Value, ...] = (["Ann", None], [1.5, 2.5], [2, "ab"], {"y": True, "n": False}, None)
    assert client.call("sample.types", *arguments) == {"made": ["Dear Ann abab y", 4], "missing": None}


@pytest.mark.parametrize("size", [130_527, 130_528, 130_537, 130_538, 130_560, 388_535, 388_536, 3 << 20])
def test_long_contents_travel_in_parts(client: Client, size: int) -> None:
    """P3: at the edge of one envelope, and beyond the window of parts in both directions."""
    data = secrets.token_bytes(size)
    assert client.call("sample.echo", data) == data


def test_short_calls_pass_a_long_one(client: Client) -> None:
    """The replies of several calls in flight arrive whole, whatever their lengths."""
    data = secrets.token_bytes(1 << 20)
    calls = {client.start("sample.echo", piece): piece for piece in (data, b"short", data[::-1], b"")}
    assert {uid: client.finish(uid) for uid in calls} == calls


def test_the_ring_key_opens_a_sensitive_result(client: Client) -> None:
    """A41: sealed under the key that the client gave to the enclave, short and in parts."""
    assert client.call("sample.secret", 10) == "s" * 10
    assert client.call("sample.secret", 1 << 19) == "s" * (1 << 19)


def test_every_call_has_a_uid_of_its_own(ring: Ring) -> None:
    """A27, F5: a lease is 256 UIDs, each reply brings one, and none comes twice."""
    del ring
    with sealed() as fresh:
        client = fresh.client
        assert len(client.lease("sample.echo")) == 256
        assert client.lease("sample.echo") == []
        for _ in range(300):
            client.call("sample.echo", b"")
        assert len(client.seen) == 556
        assert len(set(client.seen)) == 556
        assert fresh.broker.expect_notice() == ["lease.refused", "console", "its credit is full", "sample.echo"]


def test_a_declared_error_travels_typed(client: Client) -> None:
    """The class's name and its own sentence, under the code for declared errors."""
    error = fault(client, "sample.declared")
    assert (error.code, error.name, error.text) == (10, "OutOfInk", "The pen is empty.")


def test_an_undeclared_error_tells_an_incident_and_nothing_else(ring: Ring) -> None:
    """I6: the caller gets a number; the log gets the class, the place and the same number, but no value."""
    error = fault(ring.client, "sample.broken")
    assert (error.code, error.name) == (8, "")
    assert "canary" not in error.text
    kind, about, why, detail = ring.enclave.expect_notice()
    assert (kind, about, why) == ("handler.failed", "console", "builtins.ValueError")
    assert isinstance(detail, str)
    name, incident, place = detail.split()
    assert (name, place.partition(":")[0]) == ("broken", "spec_enclave.py")
    assert incident in error.text


WRONG: Final[list[tuple[str, list[Value], int]]] = [
    ("sample.echo", ["text"], 4),
    ("sample.echo", [], 4),
    ("sample.echo", [b"", b""], 4),
    ("sample.types", [["Ann", None], [1], [2, "ab"], {}, None], 4),
    ("sample.types", [["Ann"], [1.0], [2, "ab"], {}, None], 4),
    ("sample.zeros", [100], 5),
    ("sample.echo", [bytes(4 << 20)], 5),
]


@pytest.mark.parametrize(("handler", "arguments", "code"), WRONG)
def test_wrong_arguments_and_too_many_bytes_are_faults(
    client: Client, handler: str, arguments: list[Value], code: int
) -> None:
    """P4: types, number, shape and size are checked in the enclave; an integer is no float."""
    assert fault(client, handler, *arguments).code == code
    assert client.call("sample.echo", b"still here") == b"still here"


def test_a_call_whose_deadline_has_passed_is_a_fault_and_no_offence() -> None:
    """A14: it is not started; its UID is replaced as ever; the log hears of every power of two."""
    with sealed() as ring:
        for _ in range(20):
            assert fault(ring.client, "sample.echo", b"late", deadline=1).code == 6
        told = [ring.enclave.expect_notice() for _ in range(5)]
        why = "its deadline had passed"
        assert told == [["call.late", "console", why, f"{count} so far"] for count in (1, 2, 4, 8, 16)]
        farthest = time.monotonic_ns() // 1000 + 100_000_000 * 1_000_000
        assert ring.client.call("sample.echo", b"in time", deadline=farthest) == b"in time"
        assert (len(ring.client.uids["sample.echo"]), ring.broker.notices) == (256, [])
        assert len(set(ring.client.seen)) == 256 + 20 + 1


def test_a_long_call_that_is_refused_at_its_end_does_not_stop_the_next() -> None:
    """A14, P3: its pieces are at the enclave, its last envelope does not open; the next long content begins anew."""
    with sealed() as ring:
        client, session = ring.client, ring.client.peers["sample"].session
        uid = client.lease("sample.echo")[0]
        client.uids["sample.echo"].remove(uid)
        client.send(session.seal(PART, uid, b"\x01 some piece"))
        end = session.seal(CALL, uid, b"the end")
        client.send(replace(end, body=bytes(len(end.body))))
        assert [client.next(), client.next()].count([REFUSAL, uid]) == 1
        data = secrets.token_bytes(300_000)
        assert client.call("sample.echo", data) == data
        assert ring.enclave.expect_notice() == ["envelope.refused", "console", "AuthenticationFailed", ""]
        assert ring.enclave.notices == []


def test_broker_and_enclave_end_when_the_ring_is_dismantled() -> None:
    """A39, A45: both leave at once, with exit code 0."""
    with sealed() as ring:
        assert ring.client.call("sample.echo", b"x") == b"x"
        for child in (ring.enclave, ring.broker):
            child.say(7, 42)
            assert child.expect(5) == [42]
            child.say(6, "the test is over", "")
            assert child.wait() == 0
        assert ring.client.end.recv(1) == b""


def test_a_stream_gives_items_and_then_its_result(client: Client) -> None:
    """A14, A17: none, some, more than the credit, and long ones in parts; progress is among them and is no item."""
    assert client.handlers["sample.numbers"].item == [3, [[1, "int"], [1, "bytes"]]]
    for count, length in ((0, 0), (10, 3), (200, 0), (40, 150_000)):
        items, result = client.all("sample.numbers", count, length)
        expected: list[Value] = [[0, count, "begun"]]
        for number in range(count):
            expected.append([number, bytes(length)])  # noqa: PERF401  # a list in a list, for the type checkers
        assert (items, result) == (expected, f"{count} numbers")


def test_a_sensitive_stream_is_sealed_item_by_item(client: Client) -> None:
    """A9, A42: under a name of its own; its progress says no word."""
    assert client.all("sample.whispers") == ([[1, 2, ""], "psst"], None)


def test_a_stream_stops_at_its_credit_and_at_a_halt(client: Client) -> None:
    """A14, P3: nothing comes that was not asked for; the reply to a Halt is a fault, and a late one is no fault."""
    uid = client.start("sample.numbers", 1000, 0)
    while len(client.items.get(uid, ())) < FIRST_CREDIT:
        client.take()
    assert client.call("sample.echo", b"in between") == b"in between"
    assert len(client.items[uid]) == FIRST_CREDIT
    client.pull(uid, 5)
    client.halt(uid)
    client.halt(uid)
    with pytest.raises(FaultError) as caught:
        client.finish(uid)
    assert caught.value.code == 7
    assert len(client.items.pop(uid)) in {FIRST_CREDIT, FIRST_CREDIT + 5}
    assert client.call("sample.echo", b"still here") == b"still here"
