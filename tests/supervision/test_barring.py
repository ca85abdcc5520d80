"""Whose word it takes to bar an extension, and for how long that counts; at times that the test gives."""

from __future__ import annotations

import pytest

from trollbridge.actors.supervision.barring import MOST, PERIOD, Barring, Blame
from trollbridge.messages.ids import MemberId

EXTRA = MemberId("extra")


def blame(*hosts: str) -> Blame:
    """Return the word of so many hosts, or of an enclave."""
    return Blame(EXTRA, frozenset(map(MemberId, hosts)))


ENCLAVE, STORE, SHED, THROUGH = blame(), blame("store"), blame("shed"), blame("store", "shed")


@pytest.mark.parametrize(
    ("words", "barred"),
    [
        ([ENCLAVE] * MOST, True),
        ([ENCLAVE] * (MOST - 1), False),
        ([STORE] * 100, False),
        ([THROUGH] * 100, False),
        ([STORE, THROUGH] * 50, False),
        ([STORE, STORE, SHED], True),
        ([THROUGH, STORE, SHED], True),
        ([STORE, STORE, ENCLAVE], True),
    ],
)
def test_no_host_alone_has_an_extension_barred(words: list[Blame], barred: bool) -> None:  # noqa: FBT001  # a column
    """A55, P5: a host that was taken over writes into its page what it likes, dies, and is started again."""
    barring = Barring()
    told = [barring.blame(each, 0.0) for each in words]
    assert (told[-1], any(told[:-1]), barring.barred) == (barred, False, frozenset({EXTRA} if barred else ()))


def test_each_extension_is_blamed_for_its_own() -> None:
    """P5: and is told of as barred once."""
    barring = Barring()
    for _ in range(MOST - 1):
        assert not barring.blame(ENCLAVE, 0.0)
        assert not barring.blame(Blame(MemberId("other"), frozenset()), 0.0)
    assert [barring.blame(ENCLAVE, 0.0) for _ in range(2)] == [True, False]


def test_deaths_are_forgotten_after_a_while() -> None:
    """P5: three by the machine's own doing in a year bar nobody; whoever is barred stays so."""
    barring = Barring()
    assert not any(barring.blame(ENCLAVE, number * PERIOD / (MOST - 1)) for number in range(100))
    assert barring.blame(ENCLAVE, 99 * PERIOD / (MOST - 1) + 1)
    assert not barring.blame(ENCLAVE, 1000 * PERIOD)
    assert barring.barred == {EXTRA}
