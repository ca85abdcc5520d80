"""The declaration of an application: one value that says everything that is to run, validated before it starts.

May import: our messages, the supervisor when it runs. Invariant: an `App` that exists is consistent: names are
distinct, every grant names a member that may call and an enclave that exists.
"""

from __future__ import annotations

import contextlib
import graphlib
import sys
from collections.abc import Mapping
from copy import copy
from typing import TYPE_CHECKING, Final, TypeAlias

from msgspec import structs

from trollbridge.actors.intensity import Intensity
from trollbridge.actors.isolation.limits import MEMORY, check_memory
from trollbridge.actors.reference import ActorRef
from trollbridge.messages.errors import DeclarationError
from trollbridge.messages.grants import DECIDING, Grant
from trollbridge.messages.ids import BROKER, HANDLER, SERVING, SUPERVISOR, MemberId, Role, member_id
from trollbridge.messages.posture import Level
from trollbridge.messages.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BRIDGE_NAMES: Final = frozenset(
    {
        *("approvals", "approve", "epoch", "load_plugin", "members", "open", "posture", "refuse", "stubs"),
        *("wait_dismantled", "wait_sealed"),
    }
)
"""What a bridge itself offers: an enclave of such a name could not be reached."""

_DESCRIPTORS: Final = range(3, 1 << 20)
_MOST_DESCRIPTORS: Final = 8
MOST_REPLICAS: Final = 16
"""Processes of one enclave or host."""


class Child:
    """One actor of an application: which class, under which name, with which settings, and how it is kept."""

    __slots__ = ("actor", "descriptors", "least", "member", "memory", "replicas", "sandbox", "service", "settings")

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
    ) -> None:
        """Take a class or its name; `settings` reach its constructor as keywords.

        `sandbox`: what its process may reach, instead of what its class says; an extension's class is not asked.
        `least`: the level below which the application does not start, instead of the application's.
        `descriptors`: of a UI, what it keeps under the same numbers of whatever the application was started with, such
        as a pipe with a password; everything else but standard input, output and error is closed.
        `memory`: of an extension, how many bytes of address space its process may have.
        `replicas`: of an enclave or a host, how many processes serve its handlers; the broker sends a call to the least
        loaded. They are the members `notary`, `notary_2` and so on; grants and calls name `notary`. Each keeps what it
        knows to itself. Raises `DeclarationError`.
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
        self.memory = check_memory(memory, self.member)
        self.replicas = _replicas(replicas, self.member)
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
    module = _importable(actor.__module__)
    if module == "__main__":
        msg = f"{actor.__name__} is defined in a script; put it into a module of its own, and name that"
        raise DeclarationError(msg)
    return f"{module}:{actor.__name__}"


def _importable(module: str) -> str:
    """Return by which name others import a module: the one that runs has one if `python -m` started it."""
    spec = getattr(sys.modules["__main__"], "__spec__", None) if module == "__main__" else None
    return module if spec is None else str(spec.name)


Declared: TypeAlias = "Child | str | type"
Caller: TypeAlias = "str | type"
Granted: TypeAlias = "str | Grant | Callable[..., object]"


def _child(declared: Declared) -> Child:
    return declared if isinstance(declared, Child) else Child(declared)


class App:
    """An application: a UI, its enclaves, hosts and extensions, and who may call what: by default nobody anything."""

    def __init__(  # noqa: PLR0913  # a declaration; each is given by name
        self,
        *,
        ui: Declared,
        enclaves: Sequence[Declared] = (),
        hosts: Sequence[Declared] = (),
        extensions: Sequence[Declared] = (),
        grants: Mapping[Caller, Sequence[Granted]] | None = None,
        intensity: Intensity | None = None,
        least: str = Level.FULL,
    ) -> None:
        """Take the declaration; raises `DeclarationError`, saying what to change, before anything starts.

        `least`: how well the kernel must keep the broker, the enclaves and the extensions: `full`, `partial` or
        `process-only`; the application does not start below it. The UI is asked only where its `Child` says so.
        `grants` maps a caller (its name or class) to handlers: `"vault.sign"`, or `Vault.sign` where the class may be
        imported, or a `Grant` of one that says under which conditions. Enclaves and hosts may be callers too.
        """
        if any(isinstance(each, str) for each in (enclaves, hosts, extensions)) or not _is_mapping(grants or {}):
            msg = "enclaves, hosts and extensions are lists of actors, and grants map a caller to a list of handlers"
            raise DeclarationError(msg)
        self.ui = _child(ui)
        self.enclaves = tuple(each for declared in enclaves for each in _child(declared).expanded())
        """Replicas included, as in `hosts`."""
        self.hosts = tuple(each for declared in hosts for each in _child(declared).expanded())
        self.extensions = tuple(_child(each) for each in extensions)
        self.intensity = intensity or Intensity()
        self._least = _level(least)
        self._check_names()
        self._check_kinds()
        self.grants = self._resolve(grants or {})

    def run(self) -> int:
        """Run the application until its UI ends; return the exit code. The log goes to standard error."""
        from trollbridge.actors.supervisor import Supervisor  # noqa: PLC0415  # declaring an application starts nothing

        return Supervisor(self).run()

    def granted(self, member: MemberId) -> frozenset[str]:
        """Return the full names of the handlers that a member may call."""
        return frozenset(each.handler for each in self.grants.get(member, ()))

    def allowed(self, member: MemberId) -> tuple[Grant, ...]:
        """Return the grants of a member; the core UI's with those by which it decides on calls that need approval."""
        found = self.grants.get(member, ())
        if member != self.ui.member:
            return found
        needing = {
            each.handler.partition(".")[0] for granted in self.grants.values() for each in granted if each.approval
        }
        return found + tuple(Grant(f"{server}.{name}") for server in sorted(needing) for name in DECIDING)

    def least(self, member: MemberId, role: Role) -> Level:
        """Return the level below which a process may not run."""
        own = next((child.least for child, _ in self.children if child.member == member), None)
        return own or (Level.PROCESS_ONLY if role is Role.UI else self._least)

    @property
    def servers(self) -> tuple[tuple[Child, Role], ...]:
        """Who exports handlers."""
        return (*((each, Role.ENCLAVE) for each in self.enclaves), *((each, Role.HOST) for each in self.hosts))

    @property
    def children(self) -> tuple[tuple[Child, Role], ...]:
        """Everyone but the broker, in the order in which they start."""
        return (
            *self.servers,
            (self.ui, Role.UI),
            *((each, Role.EXTENSION) for each in self.extensions),
        )

    def _check_kinds(self) -> None:
        for each, role in self.children:
            if each.descriptors and role is not Role.UI:
                msg = f"{each.member}: only a UI is given descriptors"
                raise DeclarationError(msg)
            if each.replicas > 1 and role not in SERVING:
                msg = f"{each.member}: only enclaves and hosts have replicas"
                raise DeclarationError(msg)
            if role is not Role.EXTENSION and (each.actor.file or each.memory != MEMORY):
                msg = f"{each.member}: only an extension is named by its file, or has a limit to its memory"
                raise DeclarationError(msg)

    def _check_names(self) -> None:
        names = [child.member for child, _ in self.children]
        taken = {BROKER, SUPERVISOR, *BRIDGE_NAMES} & set(names)
        twice = sorted({name for name in names if names.count(name) > 1} | taken)
        if twice:
            msg = f"the name {twice[0]} is taken; give each actor its own with Child(…, name=…)"
            raise DeclarationError(msg)

    def _resolve(self, grants: Mapping[Caller, Sequence[Granted]]) -> dict[MemberId, tuple[Grant, ...]]:
        callers = {child.member: child for child, _ in self.children if child.member == child.service}
        servers = {child.member: child for child, _ in self.servers if child.member == child.service}
        found: dict[MemberId, tuple[Grant, ...]] = dict.fromkeys(callers, ())
        for caller, handlers in grants.items():
            if isinstance(handlers, str):
                msg = f"grants for {_shown(caller)} are a list of handlers, such as [{handlers!r}]"
                raise DeclarationError(msg)
            member = _find(caller, callers)
            if member is None:
                msg = f"grants name the caller {_shown(caller)}, but there are {', '.join(sorted(callers))}"
                raise DeclarationError(msg)
            for handler in handlers:
                grant = _grant(handler, servers)
                _check_countable(grant, callers[member], servers)
                if grant not in (structs.replace(each, rule=0) for each in found[member]):
                    found[member] += (structs.replace(grant, rule=len(found[member]) + 1),)
        _check_order(found)
        return {child.member: found[child.service] for child, _ in self.children}


def _is_mapping(value: object) -> bool:
    return isinstance(value, Mapping)


def _shown(declared: Caller | Callable[..., object]) -> str:
    return declared if isinstance(declared, str) else declared.__qualname__


def _find(wanted: Caller, children: Mapping[MemberId, Child]) -> MemberId | None:
    if isinstance(wanted, str) and ":" not in wanted:
        return MemberId(wanted) if wanted in children else None
    text = wanted if isinstance(wanted, str) else _name_of(wanted)
    with contextlib.suppress(DeclarationError):  # whoever names nothing that could be declared is not found
        text = str(ActorRef.parse(text))
    return next((member for member, child in children.items() if str(child.actor) == text), None)


def _check_order(grants: Mapping[MemberId, Sequence[Grant]]) -> None:
    """Raise `DeclarationError` if callers that wait for each other could come to wait in a ring."""
    of = {caller: {each.handler.partition(".")[0] for each in granted} for caller, granted in grants.items()}
    try:
        graphlib.TopologicalSorter(of).prepare()
    except graphlib.CycleError as error:
        ring = " → ".join(reversed(error.args[1]))
        msg = f"grants let {ring} wait for each other; take one of these grants away"
        raise DeclarationError(msg) from None


def _check_countable(grant: Grant, caller: Child, servers: Mapping[MemberId, Child]) -> None:
    """Raise `DeclarationError` for a rate or an approval that would not be one: each replica would have its own."""
    server = servers[MemberId(grant.handler.partition(".")[0])]
    replicated = [each.member for each in (server, caller) if each.replicas > 1]
    if replicated and (grant.most or grant.approval):
        msg = (
            f"a grant of {grant.handler} has a rate or needs approval: one process must make all calls and one see "
            f"them, so no replicas of {replicated[0]}"
        )
        raise DeclarationError(msg)


def _grant(granted: Granted, servers: Mapping[MemberId, Child]) -> Grant:
    if isinstance(granted, Grant):
        return structs.replace(granted, handler=_handler(granted.handler, servers))
    return Grant(_handler(granted, servers))


def _handler(granted: str | Callable[..., object], enclaves: Mapping[MemberId, Child]) -> str:
    if isinstance(granted, str):
        owner, _, method = granted.rpartition(".")
    else:
        scope, _, method = granted.__qualname__.rpartition(".")
        owner = f"{granted.__module__}:{scope}"
    module, colon, scope = owner.partition(":")
    owner = f"{_importable(module)}:{scope}" if colon else owner
    member = _find(owner, enclaves)
    if member is not None and not HANDLER.fullmatch(method):
        msg = f"grants name {_shown(granted)}, but each handler is granted by its name: there are no wildcards"
        raise DeclarationError(msg)
    if not owner and isinstance(granted, str) and granted in enclaves:
        msg = f"grants name {granted}, which is no handler; write {granted}.HANDLER for each that may be called"
        raise DeclarationError(msg)
    if member is None:
        known = ", ".join(sorted(enclaves)) or "(there is no enclave and no host)"
        msg = f"grants name the handler {_shown(granted)}, but its owner is none of {known}"
        raise DeclarationError(msg)
    return f"{member}.{method}"
