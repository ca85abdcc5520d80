"""The declaration of an application: one value that says everything that is to run, validated before it starts.

May import: our messages, the supervisor when it runs. Invariant: an `App` that exists is consistent: names are
distinct, every grant names a member that may call and an enclave that exists.
"""

from __future__ import annotations

import contextlib
import graphlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from msgspec import structs

from trollbridge.actors.child_spec import Child, importable, level, name_of
from trollbridge.actors.isolation.limits import MEMORY
from trollbridge.actors.reference import ActorRef
from trollbridge.actors.supervision.declaring import OF_A_CHILD, Kept, Leaf, Strategy, checked, grow
from trollbridge.actors.supervision.intensity import Intensity
from trollbridge.actors.supervision.rekeying import Rekey, planned
from trollbridge.messages.errors import DeclarationError
from trollbridge.messages.grants import DECIDING, Grant
from trollbridge.messages.ids import BROKER, HANDLER, SERVING, SUPERVISOR, MemberId, Role
from trollbridge.messages.operator import application_name
from trollbridge.messages.posture import Level

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from trollbridge.actors.operations.log import Log
    from trollbridge.actors.supervision.declaring import Group

__all__ = ["App", "Child"]

BRIDGE_NAMES: Final = frozenset(
    {
        *("approvals", "approve", "epoch", "load_plugin", "members", "open", "posture", "refuse", "stubs"),
        *("wait_dismantled", "wait_sealed"),
    }
)
"""What a bridge itself offers: an enclave of such a name could not be reached."""


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
        groups: Sequence[Group] = (),
        strategy: str = Strategy.ONE_FOR_ONE,
        group_intensity: Intensity | None = None,
        name: str = "",
        rekey: Rekey | None = None,
    ) -> None:
        """Take the declaration; raises `DeclarationError`, saying what to change, before anything starts.

        `least`: how well the kernel must keep the broker, the enclaves and the extensions: `full`, `partial` or
        `process-only`; the application does not start below it. The UI is asked only where its `Child` says so.
        `grants` maps a caller (its name or class) to handlers: `"vault.sign"`, or `Vault.sign` where the class may be
        imported, or a `Grant` of one that says under which conditions. Enclaves and hosts may be callers too.
        `intensity`: how often the ring may fall and be formed again, by default 5 times in 30 seconds.
        `groups` of hosts and extensions have supervisors of their own; whoever stands in none is under the
        application's, which has this `strategy` and `group_intensity`, and above which the ring falls.
        `name`: by which operators find it once it runs, and by which it runs once at a time; without one, only
        `trollbridge run` gives it one.
        `rekey`: when the keys are changed without being asked for; by default never.
        """
        if any(isinstance(each, str) for each in (enclaves, hosts, extensions)) or not _is_mapping(grants or {}):
            msg = "enclaves, hosts and extensions are lists of actors, and grants map a caller to a list of handlers"
            raise DeclarationError(msg)
        self.ui = _child(ui)
        self.enclaves = tuple(each for declared in enclaves for each in _child(declared).expanded())
        """Replicas included, as in `hosts`."""
        self.hosts = tuple(each for declared in hosts for each in _child(declared).expanded())
        self.extensions = tuple(_child(each) for each in extensions)
        self.intensity = Intensity() if intensity is None else checked(intensity, "an application")
        self.name = "" if name == "" else application_name(name)
        self.rekey = planned(rekey)
        self._least = level(least)
        self._check_names()
        self._check_kinds()
        self.grants = self._resolve(grants or {})
        self.tree = grow(self._kept(), groups, strategy, group_intensity, self._bound())
        """Who restarts which host and which extension."""

    def run(self, *, log: Log | Literal["stderr"] | None = "stderr") -> int:
        """Run the application until its UI ends; return the exit code.

        `log`: where its lines go; None: nowhere. Why the application could not run is told on standard error anyway.
        """
        from trollbridge.actors.operations.log import Log  # noqa: PLC0415  # declaring an application starts nothing
        from trollbridge.actors.supervision.supervisor import Supervisor  # noqa: PLC0415  # as above

        chosen = Log(lambda _line: None) if log is None else None if log == "stderr" else log
        return Supervisor(self, chosen, name=self.name).run()

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

            if each.restart is not None and role not in OF_A_CHILD:
                msg = f"{each.member} is bound to the ring, and restarts with it; take restart=… away"
                raise DeclarationError(msg)

    def ungroup(self) -> None:
        """Let hosts and extensions stand in no group: for a copy whose members are not the ones declared."""
        self.tree = grow(self._kept(), (), Strategy.ONE_FOR_ONE, None)

    def _kept(self) -> tuple[Kept, ...]:
        """Return the hosts and extensions, in the order in which they start."""
        return tuple(
            Kept(Leaf(child.member, role, child.restart or OF_A_CHILD[role]), child.service)
            for child, role in self.children
            if role in OF_A_CHILD
        )

    def _bound(self) -> dict[str, str]:
        """Return who restarts with the ring, and as what."""
        of_the_ring: dict[str, str] = {
            BROKER: "the broker",
            SUPERVISOR: "the supervisor",
            self.ui.member: "the user interface",
        }
        return {**of_the_ring, **{each.member: "an enclave" for each in self.enclaves}}

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
    text = wanted if isinstance(wanted, str) else name_of(wanted)
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
    owner = f"{importable(module)}:{scope}" if colon else owner
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
