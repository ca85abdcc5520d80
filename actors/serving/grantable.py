"""What a handler is to whoever declares an application: `Notary.sign.where(key="release")` is a grant of it.

May import: our messages. Invariant: at run time a handler is a plain function with these three as attributes; to a type
checker it is a `Handler`, which is called on an instance with the function's own types.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, overload

from trollbridge.messages.grants import Grant

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Concatenate

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class Handler(Protocol[P, R_co]):
    """A method that is exported, as its class has it."""

    __module__: str
    __name__: str
    __qualname__: str

    @overload
    def __get__(self, instance: None, owner: type, /) -> Handler[P, R_co]: ...
    @overload
    def __get__(self, instance: object, owner: type | None = None, /) -> Callable[P, R_co]: ...

    def __call__(self, instance: Any, /, *positional: P.args, **named: P.kwargs) -> R_co:  # noqa: ANN401  # whichever class has it
        """Run it on an instance."""
        ...

    def where(self, /, **conditions: object) -> Grant:
        """Return the grant for calls whose arguments are so: see `Grant.where`."""
        ...

    def at_most(self, most: int, *, seconds: int) -> Grant:
        """Return the grant for at most so many calls in any `seconds`: see `Grant.at_most`."""
        ...

    def approved(self) -> Grant:
        """Return the grant for calls that the core UI approves, one by one."""
        ...


class Marker(Protocol):
    """What `@handler(…)` makes of a method."""

    def __call__(self, function: Callable[Concatenate[Any, P], R], /) -> Handler[P, R]:
        """Export it."""
        ...


def offer(function: Callable[..., object], check: Callable[[Grant], None]) -> None:
    """Give a handler's function its three attributes; `check` raises `DeclarationError` for a grant that is wrong."""
    scope, _, method = getattr(function, "__qualname__", "").rpartition(".")

    def where(**conditions: object) -> Grant:
        grant = Grant(f"{function.__module__}:{scope}.{method}").where(**conditions)
        check(grant)
        return grant

    def at_most(most: int, *, seconds: int) -> Grant:
        return where().at_most(most, seconds=seconds)

    def approved() -> Grant:
        return where().approved()

    for each in (where, at_most, approved):
        setattr(function, each.__name__, each)
