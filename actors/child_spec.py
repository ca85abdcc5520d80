"""The declaration of one actor: OTP's child spec. Which class, under which name, how it is kept and restarted.

May import: our messages, `intensity`, `supervision`'s words. Invariant: a `Child` that exists is right by itself;
whether it fits the others, `App` says.
"""

from __future__ import annotations

import sys
from copy import copy
from typing import TYPE_CHECKING, Final

from trollbridge.actors.isolation.limits import check_memory
from trollbridge.actors.reference import ActorRef
from trollbridge.actors.supervision.declaring import Restart, word
from trollbridge.messages.errors import DeclarationError
from trollbridge.messages.ids import MemberId, member_id
from trollbridge.messages.posture import Level
from trollbridge.messages.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_DESCRIPTORS: Final = range(3, 1 << 20)
_MOST_DESCRIPTORS: Final = 8
MOST_REPLICAS: Final = 16
"""Processes of one enclave or host."""
LONGEST_SHUTDOWN: Final = 600
"""Seconds that an actor may be given to end by itself."""


class Child:
    """One actor of an application: which class, under which name, with which settings, and how it is kept."""

    __slots__ = (
        *("actor", "descriptors", "least", "member", "memory", "replicas", "restart", "sandbox", "service", "settings"),
        "shutdown",
    )

    def __init__(  # noqa: PLR0913  # a declaration; each is given by name
        self,
        actor: str | type,
        *,
        name: str = "",
        settings: Mapping[str, str] | None = None,
        sandbox: Sandbox | None = None,
        least: str | None = None,
        descriptors: Sequence[int] = (),
        memory: int | None = None,
        replicas: int = 1,
        restart: str | None = None,
        shutdown: float | None = None,
    ) -> None:
        """Take a class or its name; `settings` reach its constructor as keywords.

        `sandbox`: what its process may reach, instead of what its class says; an extension's class is not asked.
        `least`: the level below which the application does not start, instead of the application's.
        `descriptors`: of a UI, what it keeps under the same numbers of whatever the application was started with, such
        as a pipe with a password; everything else but standard input, output and error is closed.
        `memory`: of an extension, how many bytes of address space its process may have.
        `replicas`: of an enclave or a host, how many processes serve its handlers; the broker sends a call to the least
        loaded. They are the members `notary`, `notary_2` and so on; grants and calls name `notary`. Each keeps what it
        knows to itself.
        `restart`: of a host or an extension, whether it is started again once it has ended: `permanent` always (a
        host's default), `transient` unless it ended as it should, `temporary` never (an extension's default).
        `shutdown`: the seconds that it has to end by itself once it is asked to, before it is killed; 0: it is killed
        at once. Without it 2, and a UI 5. Raises `DeclarationError`.
        """
        self.actor = ActorRef.parse(actor if isinstance(actor, str) else name_of(actor))
        self.member: MemberId = member_id(name or self.actor.name.lower())
        self.settings = tuple(sorted((settings or {}).items()))
        if any(type(part) is not str for pair in self.settings for part in pair):
            msg = f"{self.member}: settings are strings"
            raise DeclarationError(msg)
        if sandbox is not None and type(sandbox) is not Sandbox:
            msg = f"{self.member}: sandbox is a Sandbox(…), not {type(sandbox).__name__}"
            raise DeclarationError(msg)
        self.sandbox = sandbox
        self.least = None if least is None else level(least)
        self.descriptors = _descriptors(descriptors, self.member)
        self.memory = check_memory(memory, self.member)
        self.replicas = _replicas(replicas, self.member)
        self.restart = None if restart is None else word(Restart, restart, f"{self.member}: restart")
        self.shutdown = _seconds(shutdown, self.member)
        self.service: MemberId = self.member
        """Under which name its handlers are granted and called."""

    def expanded(self) -> tuple[Child, ...]:
        """Return this, and its replicas under names of their own."""
        found = [self]
        for number in range(2, self.replicas + 1):
            replica = copy(self)
            replica.member = member_id(f"{self.member}_{number}")
            found.append(replica)
        return tuple(found)


def _replicas(number: int, member: MemberId) -> int:
    if type(number) is not int or not 1 <= number <= MOST_REPLICAS:
        msg = f"{member}: replicas are a number from 1 to {MOST_REPLICAS}"
        raise DeclarationError(msg)
    return number


def _descriptors(numbers: Sequence[int], member: MemberId) -> tuple[int, ...]:
    found = tuple(numbers)
    if (
        any(type(each) is not int or each not in _DESCRIPTORS for each in found)
        or len(set(found)) < len(found)
        or len(found) > _MOST_DESCRIPTORS
    ):
        msg = (
            f"{member}: descriptors are at most {_MOST_DESCRIPTORS} different numbers from 3 on; 0 to 2 a UI has anyway"
        )
        raise DeclarationError(msg)
    return found


def _seconds(number: float | None, member: MemberId) -> float | None:
    if number is None:
        return None
    if type(number) not in (int, float) or not 0 <= number <= LONGEST_SHUTDOWN:
        msg = f"{member}: shutdown is a number of seconds from 0 to {LONGEST_SHUTDOWN}"
        raise DeclarationError(msg)
    return float(number)


def level(text: str) -> Level:
    """Return the level of that name; raises `DeclarationError`."""
    try:
        return Level(text)
    except ValueError:
        msg = f"least={text!r} is no level; there are {', '.join(Level)}"
        raise DeclarationError(msg) from None


def name_of(actor: type) -> str:
    """Return the reference by which a process imports a class; raises `DeclarationError` if none can."""
    if "." in actor.__qualname__:
        msg = f"{actor.__qualname__} is not at the top of its module, so its process cannot import it"
        raise DeclarationError(msg)
    module = importable(actor.__module__)
    if module == "__main__":
        msg = f"{actor.__name__} is defined in a script; put it into a module of its own, and name that"
        raise DeclarationError(msg)
    return f"{module}:{actor.__name__}"


def importable(module: str) -> str:
    """Return by which name others import a module: the one that runs has one if `python -m` started it."""
    spec = getattr(sys.modules["__main__"], "__spec__", None) if module == "__main__" else None
    return module if spec is None else str(spec.name)
