"""A secret: used in place, wiped when dropped, given back to its place, and never shown."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING

import pytest

from trollbridge.messages.errors import UsageError
from trollbridge.messages.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = bytes(range(32))


def test_it_is_used_where_it_lies() -> None:
    """No copy: what the owner of the buffer changes, the secret shows."""
    buffer = bytearray(KEY)
    secret = Secret(buffer)
    assert bytes(secret.view) == KEY
    buffer[0] = 255
    assert secret.view[0] == 255


def test_a_dropped_secret_is_zeros_wherever_a_reference_is_kept() -> None:
    """A44: the buffer is wiped, given back once, and cannot be reached through the secret."""
    buffer, returned = bytearray(KEY), list[object]()
    secret = Secret(buffer, returned.append)
    kept = memoryview(secret.view)
    secret.drop()
    secret.drop()
    assert (bytes(kept), returned) == (bytes(32), [buffer])
    with pytest.raises(UsageError, match="was dropped"):
        _ = secret.view


def test_it_shows_its_size_only() -> None:
    """A35: no representation has the key."""
    assert (repr(Secret.of(KEY)), str(Secret.of(KEY))) == ("<Secret of 32 bytes>",) * 2


def compared(secret: Secret) -> object:
    """Compare a secret, with itself at that."""
    return secret == secret  # noqa: PLR0124  # the misuse


MISUSES: dict[str, Callable[[Secret], object]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": pickle.dumps,
    "compare": compared,
    "hash": hash,
}


@pytest.mark.parametrize("misuse", MISUSES)
def test_it_is_neither_copied_nor_pickled_nor_compared(misuse: str) -> None:
    """A35: each of them raises."""
    with pytest.raises((UsageError, TypeError)):
        MISUSES[misuse](Secret.of(KEY))
