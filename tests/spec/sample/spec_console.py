"""The user interface that runs against the tests' own enclave; only the shipped process imports it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trollbridge.messages.errors import InvalidArguments, NotGranted, TrollbridgeError, VaultLocked
from trollbridge.ui_adapter.bridge import UiActor

if TYPE_CHECKING:
    from collections.abc import Callable

    from trollbridge.actors.calling.stream import Stream
    from trollbridge.ui_adapter.bridge import Bridge


class Console(UiActor):
    """Calls everything, and ends with 0 only if each answer is right."""

    def main(self, bridge: Bridge) -> int:
        """Return how far it came wrong, or 0."""
        own = bridge.own
        long = bytes(range(256)) * 12_000
        checks: tuple[Callable[[], bool], ...] = (
            lambda: own.double("ab").get(timeout=20) == "abab",
            lambda: own.double.signature == "(text: str) -> str",
            lambda: own.reverse(long).get(timeout=20) == long[::-1],
            lambda: [each.get(timeout=20) for each in [own.double(str(n)) for n in range(300)]][299] == "299299",
            lambda: list(own.count(1000)) == list(range(1000)),
            lambda: own.count.signature == "(items: int) -> Iterator[int]",
            lambda: _first(own.count(1000)) == 0,
            lambda: own.secret().get(timeout=20) == b"only for the core",
            lambda: isinstance(_error(lambda: own.locked().get(timeout=20)), VaultLocked),
            lambda: isinstance(_error(own.another), NotGranted),
            lambda: isinstance(_error(lambda: own.double(b"bytes")), InvalidArguments),
            lambda: own.finish().get(timeout=20) is None,
        )
        return next((number for number, check in enumerate(checks, 1) if not check()), 0)


def _first(stream: Stream[int]) -> int:
    with stream:
        return next(stream)


def _error(action: Callable[[], object]) -> Exception | None:
    try:
        action()
    except TrollbridgeError as error:
        return error
    return None
