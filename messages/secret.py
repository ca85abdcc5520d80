"""A long-lived key: a buffer that is used in place and wiped, wherever its owner has put it.

May import: our errors. Invariant: nothing here makes a copy of the key; a dropped secret holds zeros, whoever kept a
reference to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NoReturn

from trollbridge.messages.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable


class Secret:
    """A key in a buffer of its own: neither copied, compared, pickled nor shown."""

    __slots__ = ("_buffer", "_release", "size")

    def __init__(
        self, buffer: bytearray | memoryview, release: Callable[[bytearray | memoryview], object] | None = None
    ) -> None:
        """Take a writable buffer as its owner; `release` gets it back, wiped, when the secret is dropped."""
        self._buffer: bytearray | memoryview | None = buffer
        self._release = release
        self.size: Final = len(buffer)

    @classmethod
    def of(cls, key: bytes) -> Secret:
        """Return a secret in ordinary memory with a copy of `key`: where no better place is known."""
        return cls(bytearray(key))

    @property
    def view(self) -> bytearray | memoryview:
        """The key itself, to be used and not kept; raises `UsageError` once it is dropped."""
        if self._buffer is None:
            msg = "this key was dropped"
            raise UsageError(msg)
        return self._buffer

    def drop(self) -> None:
        """Wipe the key; harmless if it was dropped before."""
        buffer, self._buffer = self._buffer, None
        if buffer is not None:
            buffer[:] = bytes(len(buffer))
            if self._release is not None:
                self._release(buffer)

    def __repr__(self) -> str:
        """Show the size only."""
        return f"<Secret of {self.size} bytes>"

    __hash__ = None  # type: ignore[assignment]  # a key is no key of a dictionary

    def __eq__(self, other: object) -> NoReturn:
        """Refuse: keys are compared in constant time, by what uses them."""
        msg = "secrets cannot be compared"
        raise UsageError(msg)

    def _refuse(self, *_: object) -> NoReturn:
        msg = "a secret cannot be copied or pickled"
        raise UsageError(msg)

    __reduce_ex__ = __copy__ = __deepcopy__ = _refuse
