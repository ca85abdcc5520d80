"""The declaration of an application: one value that says everything that is to run, validated before it starts.

May import: our messages, the supervisor when it runs. Invariant: an `App` that exists is consistent: names are
distinct, every grant names a member that may call and an enclave that exists.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from trollbridge.actors.intensity import Intensity
from trollbridge.messages.errors import DeclarationError
from trollbridge.messages.ids import BROKER, HANDLER, SUPERVISOR, MemberId, Role, member_id
from trollbridge.messages.posture import Level
from trollbridge.messages.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BRIDGE_NAMES: Final = frozenset({"epoch", "members", "open", "posture", "wait_dismantled", "wait_sealed"})
"""What a bridge itself offers: an enclave of such a name could not be reached."""

_DESCRIPTORS: Final = range(3, 1 << 20)
_MOST_DESCRIPTORS: Final = 8


class ActorRef(msgspec.Struct, frozen=True):
    """`package.module:Class`: by name, only its own process imports it."""

    module: str
    name: str

    @classmethod
    def parse(cls, text: str) -> ActorRef:
        """Return the reference that `text` is; raises `DeclarationError`."""
        module, colon, name = text.partition(":")
        if not colon or not name.isidentifier() or not all(part.isidentifier() for part in module.split(".")):
            msg = f"{text!r} does not name an actor; write package.module:Class"
            raise DeclarationError(msg)
        return cls(module, name)

    def __str__(self) -> str:
        """Return it as it is written."""
        return f"{self.module}:{self.name}"


class Child:
    """One actor of an application: which class, under which name, with which settings, and how it is kept."""

    __slots__ = ("actor", "descriptors", "least", "member", "sandbox", "settings")

    def __init__(  # noqa: PLR0913  # a declaration; each is given by name
        self,
        actor: str | type,
        *,
        name: str = "",
        settings: Mapping[str, str] | None = None,
        sandbox: Sandbox | None = None,
        least: str | None = None,
        descriptors: Sequence[int] = (),
    ) -> None:
        """Take a class or its name; `settings` reach its constructor as keywords.

        `sandbox`: what its process may reach, instead of what its class says; an extension's class is not asked.
        `least`: the level below which the application does not start, instead of the application's.
        `descriptors`: of a UI, what it keeps under the same numbers of whatever the application was started with, such
        as a pipe with a password; everything else but standard input, output and error is closed. Raises
        `DeclarationError`.
        """
        self.actor = ActorRef.parse(actor if isinstance(actor, str) else _name_of(actor))
        self.member: MemberId = member_id(name or self.actor.name.lower())
        self.settings = tuple(sorted((settings or {}).items()))
        if any(type(part) is not str for pair in self.settings for part in pair):
            msg = f"{self.member}: settings are strings"
            raise DeclarationError(msg)
        if sandbox is not None and type(sandbox) is not Sandbox:
            msg = f"{self.member}: sandbox is a Sandbox(…), not {type(sandbox).__name__}"
            raise DeclarationError(msg)
        self.sandbox = sandbox
        self.least = None if least is None else _level(least)
        self.descriptors = _descriptors(descriptors, self.member)


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


def _level(text: str) -> Level:
    try:
        return Level(text)
    except ValueError:
        msg = f"least={text!r} is no level; there are {', '.join(Level)}"
        raise DeclarationError(msg) from None


def _name_of(actor: type) -> str:
    if "." in actor.__qualname__:
        msg = f"{actor.__qualname__} is not at the top of its module, so its process cannot import it"
        raise DeclarationError(msg)
    module = actor.__module__
    if module == "__main__":
        spec = getattr(sys.modules["__main__"], "__spec__", None)
        if spec is None or spec.name == "__main__":
            msg = f"{actor.__name__} is defined in a script; put it into a module of its own, and name that"
            raise DeclarationError(msg)
        module = spec.name
    return f"{module}:{actor.__name__}"


Declared: TypeAlias = "Child | str | type"
Caller: TypeAlias = "str | type"
Granted: TypeAlias = "str | Callable[..., object]"


def _child(declared: Declared) -> Child:
    return declared if isinstance(declared, Child) else Child(declared)


class App:
    """An application: a UI, its enclaves, its extensions, and who may call what: by default nobody anything."""

    def __init__(  # noqa: PLR0913  # a declaration; each is given by name
        self,
        *,
        ui: Declared,
        enclaves: Sequence[Declared] = (),
        extensions: Sequence[Declared] = (),
        grants: Mapping[Caller, Sequence[Granted]] | None = None,
        intensity: Intensity | None = None,
        least: str = Level.FULL,
    ) -> None:
        """Take the declaration; raises `DeclarationError`, saying what to change, before anything starts.

        `least`: how well the kernel must keep the broker, the enclaves and the extensions: `full`, `partial` or
        `process-only`; the application does not start below it. The UI is asked only where its `Child` says so.
        `grants` maps a caller (its name or class) to handlers: `"vault.sign"`, or `Vault.sign` where the class may be
        imported.
        """
        if isinstance(enclaves, str) or isinstance(extensions, str) or not _is_mapping(grants or {}):
            msg = "enclaves and extensions are lists of actors, and grants map a caller to a list of handlers"
            raise DeclarationError(msg)
        self.ui = _child(ui)
        self.enclaves = tuple(_child(each) for each in enclaves)
        self.extensions = tuple(_child(each) for each in extensions)
        self.intensity = intensity or Intensity()
        self._least = _level(least)
        self._check_names()
        for each in (*self.enclaves, *self.extensions):
            if each.descriptors:
                msg = f"{each.member}: only a UI is given descriptors"
                raise DeclarationError(msg)
        self.grants = self._resolve(grants or {})

    def run(self) -> int:
        """Run the application until its UI ends; return the exit code. The log goes to standard error."""
        from trollbridge.actors.supervisor import Supervisor  # noqa: PLC0415  # declaring an application starts nothing

        return Supervisor(self).run()

    def least(self, member: MemberId, role: Role) -> Level:
        """Return the level below which a process may not run."""
        own = next((child.least for child, _ in self.children if child.member == member), None)
        return own or (Level.PROCESS_ONLY if role is Role.UI else self._least)

    @property
    def children(self) -> tuple[tuple[Child, Role], ...]:
        """Everyone but the broker, in the order in which they start."""
        return (
            *((each, Role.ENCLAVE) for each in self.enclaves),
            (self.ui, Role.UI),
            *((each, Role.EXTENSION) for each in self.extensions),
        )

    def _check_names(self) -> None:
        names = [child.member for child, _ in self.children]
        taken = {BROKER, SUPERVISOR, *BRIDGE_NAMES} & set(names)
        twice = sorted({name for name in names if names.count(name) > 1} | taken)
        if twice:
            msg = f"the name {twice[0]} is taken; give each actor its own with Child(…, name=…)"
            raise DeclarationError(msg)

    def _resolve(self, grants: Mapping[Caller, Sequence[Granted]]) -> dict[MemberId, frozenset[str]]:
        callers = {child.member: child for child in (self.ui, *self.extensions)}
        enclaves = {child.member: child for child in self.enclaves}
        found: dict[MemberId, frozenset[str]] = dict.fromkeys(callers, frozenset())
        for caller, handlers in grants.items():
            if isinstance(handlers, str):
                msg = f"grants for {_shown(caller)} are a list of handlers, such as [{handlers!r}]"
                raise DeclarationError(msg)
            member = _find(caller, callers)
            if member is None:
                msg = f"grants name the caller {_shown(caller)}, but there are {', '.join(sorted(callers))}"
                raise DeclarationError(msg)
            found[member] |= {_handler(handler, enclaves) for handler in handlers}
        return found


def _is_mapping(value: object) -> bool:
    return isinstance(value, Mapping)


def _shown(declared: Caller | Granted) -> str:
    return declared if isinstance(declared, str) else declared.__qualname__


def _find(wanted: Caller, children: Mapping[MemberId, Child]) -> MemberId | None:
    if isinstance(wanted, str) and ":" not in wanted:
        return MemberId(wanted) if wanted in children else None
    text = wanted if isinstance(wanted, str) else _name_of(wanted)
    return next((member for member, child in children.items() if str(child.actor) == text), None)


def _handler(granted: Granted, enclaves: Mapping[MemberId, Child]) -> str:
    if isinstance(granted, str):
        owner, _, method = granted.rpartition(".")
    else:
        scope, _, method = granted.__qualname__.rpartition(".")
        owner = f"{granted.__module__}:{scope}"
    member = _find(owner, enclaves)
    if member is not None and not HANDLER.fullmatch(method):
        msg = f"grants name {_shown(granted)}, but each handler is granted by its name: there are no wildcards"
        raise DeclarationError(msg)
    if member is None:
        known = ", ".join(sorted(enclaves)) or "(there is no enclave)"
        msg = f"grants name the handler {_shown(granted)}, but its enclave is none of {known}"
        raise DeclarationError(msg)
    return f"{member}.{method}"
