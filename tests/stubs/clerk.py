"""The enclave of the stubs' tests: it gives back what it is given, under names that other languages know as words."""

from __future__ import annotations

import math
from collections.abc import Generator

import msgspec

from trollbridge.actors.handlers import handler
from trollbridge.actors.serving.streaming import Progress
from trollbridge.enclave.actor import EnclaveActor
from trollbridge.messages.errors import DeclaredError

SECRET = b"for the core user interface alone"
FAR = (1 << 60) + 1
"""A whole number that a page cannot hold as a number."""


class Unwilling(DeclaredError):
    """The clerk does not want to."""


class Label(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A record; one of its fields has a name that means more to JavaScript."""

    text: str
    constructor: bytes | None


class Promise(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A record whose name the generated code has a use for."""

    labels: tuple[Label, ...]


class Clerk(EnclaveActor):
    """Files what it is given."""

    @handler
    def file(  # noqa: PLR0913, PLR0917  # one for each form of the grammar
        self,
        octets: bytes,
        text: str,
        whole: int,
        real: float,
        truth: bool,  # noqa: FBT001  # a type that can be sent
        many: tuple[int, ...],
        pair: tuple[str, bytes],
        words: dict[str, int],
        maybe: bytes | None,
        label: Label,
    ) -> tuple[bytes, str, int, float, bool, tuple[int, ...], tuple[str, bytes], dict[str, int], bytes | None, Label]:
        """Return everything as it came.

        What stands below the first paragraph is for those who read the source.
        """
        return octets, text, whole, real, truth, many, pair, words, maybe, label

    @handler
    def delete(
        self,
        new: str = "'\"\u2028</script>",
        default: int = FAR,
        function: float = math.inf,
        of: tuple[bytes, ...] = (b"\0",),
    ) -> tuple[str, int, float, tuple[bytes, ...]]:
        """Return everything as it came, or what is there without it."""
        return new, default, function, of

    @handler
    def promise(self, promise: Promise | None) -> Promise | None:
        """Return it."""
        return promise

    @handler(sensitive=True)
    def secret(self) -> bytes:
        """Return the secret."""
        return SECRET

    @handler
    def refuse(self) -> None:
        """Refuse."""
        raise Unwilling

    @handler
    def hide(self) -> None:
        """Do nothing; nobody is granted it."""

    @handler(core=True)
    def shred(self) -> None:
        """Do nothing; the core UI alone may ask for it."""

    @handler
    def count(self, to: int) -> Generator[int | Progress, None, str]:
        """Count, and say how far it is."""
        for number in range(to):
            yield number
            yield Progress(number + 1, to, "counting")
        return "counted"

    @handler
    def fail_later(self, after: int) -> Generator[int, None, None]:
        """Count, then refuse."""
        yield from range(after)
        raise Unwilling
