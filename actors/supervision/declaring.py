"""The words of supervision, as Erlang/OTP has them, and the tree that a declaration grows, checked whole.

May import: our messages, `intensity`. Invariants: a `Branch` that was grown names each host and each extension once;
whoever starts later in its rest_for_one branches depends on whoever starts earlier.
"""

from __future__ import annotations

import enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias, TypeVar

from trollbridge.actors.supervision.intensity import Intensity
from trollbridge.messages.errors import DeclarationError
from trollbridge.messages.ids import MEMBER, MemberId, Role

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_NOBODY: Final[Mapping[str, str]] = MappingProxyType({})
ROOT: Final = "root"
"""The name of the supervisor of all that stands in no group."""


class Restart(enum.StrEnum):
    """Whether a child that has ended is started again."""

    PERMANENT = "permanent"
    """Always."""
    TRANSIENT = "transient"
    """Unless it ended as it should: by itself with 0, or because it was asked to."""
    TEMPORARY = "temporary"
    """Never, not even where all of its group are started again."""


class Strategy(enum.StrEnum):
    """Who else is started again when one of a group is."""

    ONE_FOR_ONE = "one_for_one"
    """Nobody."""
    ONE_FOR_ALL = "one_for_all"
    """All others of the group."""
    REST_FOR_ONE = "rest_for_one"
    """Those that were started after it."""


_Word = TypeVar("_Word", Restart, Strategy)


def word(kind: type[_Word], text: str, what: str) -> _Word:
    """Return one of these words; raises `DeclarationError` for what is none. `what` it is given as begins the text."""
    try:
        return kind(text)
    except ValueError:
        msg = f"{what} is one of {', '.join(kind)}, not {text!r}"
        raise DeclarationError(msg) from None


OF_A_GROUP: Final = Intensity(3, 10.0)
"""How often the children of a group may be started again, where nothing else is said."""
OF_A_CHILD: Final = {Role.HOST: Restart.PERMANENT, Role.EXTENSION: Restart.TEMPORARY}
"""How a child is restarted that does not say so itself; whatever has no entry is bound to the ring."""


class Group:
    """Hosts and extensions that have a supervisor of their own; groups of one application nest by their names."""

    __slots__ = ("children", "intensity", "name", "restart", "strategy")

    def __init__(
        self,
        name: str,
        children: Sequence[str],
        *,
        strategy: str = Strategy.ONE_FOR_ONE,
        intensity: Intensity | None = None,
        restart: str = Restart.PERMANENT,
    ) -> None:
        """Take the names of members and of other groups, in the order in which they start; they stop in the reverse.

        `strategy`: who else is started again with one that is. `intensity`: how often that may be, by default 3 times
        in 10 seconds; one more and the group gives up: its children are stopped, and it has ended as far as the group
        above is concerned. `restart`: whether it is then started again, as of a `Child`. Raises `DeclarationError`.
        """
        if type(name) is not str or not MEMBER.fullmatch(name):
            msg = (
                f"{name!r} is no name for a group: a lower-case letter, then at most 31 letters, digits or underscores"
            )
            raise DeclarationError(msg)
        if type(children) not in (list, tuple) or not children:
            msg = f"the group {name} takes a list of names of hosts, extensions and groups, and at least one"
            raise DeclarationError(msg)
        for each in children:
            if type(each) is not str:
                msg = f"the group {name} names each of its children by its name: {_by_name(each)}"
                raise DeclarationError(msg)
        self.name = name
        self.children = tuple(children)
        self.strategy = word(Strategy, strategy, f"the strategy of the group {name}")
        self.intensity = OF_A_GROUP if intensity is None else checked(intensity, f"the group {name}")
        self.restart = word(Restart, restart, f"the restart of the group {name}")


def _by_name(given: object) -> str:
    """Return in words how to name a child that was given otherwise."""
    if type(given) is Group:
        return f'"{given.name}", and the Group itself stands in App(groups=[…])'
    name = getattr(given, "__name__", None)  # of a class, or of a function that makes a Child
    if isinstance(name, str):
        return f'"{name.lower()}" instead of {name}'
    service = getattr(given, "service", None)  # of a Child
    return f'"{service}" instead of the Child' if isinstance(service, str) else f"a text, not {given!r}"


def checked(intensity: Intensity, whose: str) -> Intensity:
    """Return an intensity; raises `DeclarationError` for one that is none."""
    if type(intensity) is not Intensity:
        msg = f"{whose}: intensity is an Intensity(restarts, seconds), not {type(intensity).__name__}"
        raise DeclarationError(msg)
    return intensity


class Leaf(NamedTuple):
    """One process that is not bound to the ring."""

    name: MemberId
    role: Role
    restart: Restart


class Branch(NamedTuple):
    """One supervisor and its children, in the order in which they start."""

    name: str
    strategy: Strategy
    intensity: Intensity
    restart: Restart
    children: tuple[Node, ...]

    def leaves(self) -> Iterator[Leaf]:
        """Go over all processes beneath, in the order in which they start."""
        for each in self.children:
            if isinstance(each, Leaf):
                yield each
            else:
                yield from each.leaves()

    def branches(self) -> Iterator[Branch]:
        """Go over all groups beneath."""
        for each in self.children:
            if isinstance(each, Branch):
                yield each
                yield from each.branches()


Node: TypeAlias = Leaf | Branch


class Kept(NamedTuple):
    """A process as it is declared: under which name, and of which service, whose replicas stay together."""

    leaf: Leaf
    service: MemberId


class _Growing:
    """The groups of one application while their tree is made."""

    def __init__(self, kept: Sequence[Kept], groups: Sequence[Group], bound: Mapping[str, str]) -> None:
        self._groups = {each.name: each for each in groups}
        self._kept: dict[str, list[Leaf]] = {}
        for leaf, service in kept:
            self._kept.setdefault(service, []).append(leaf)
        self._bound = bound
        self._above: dict[str, str] = {}
        """In which group something stands."""
        for group in groups:
            for name in group.children:
                self._claim(name, group.name)

    def _claim(self, name: str, group: str) -> None:
        if name not in self._kept and name not in self._groups:
            others = [each for each in self._groups if each != group]
            known = ", ".join([*self._kept, *others])
            msg = f"the group {group} names {name}, but " + (
                f"that is {self._bound[name]}, which is bound to the ring, and restarts with it; take it out"
                if name in self._bound
                else f"the hosts, extensions and other groups are {known}"
                if known
                else "there is no host, no extension and no other group"
            )
            raise DeclarationError(msg)
        before = self._above.setdefault(name, group)
        if before != group:
            msg = f"{name} stands in the groups {before} and {group}; it can have one supervisor only"
            raise DeclarationError(msg)

    def branch(self, name: str) -> Branch:
        """Return a group with all that is beneath it."""
        group = self._groups[name]
        if len(set(group.children)) < len(group.children):
            msg = f"the group {name} names a child twice"
            raise DeclarationError(msg)
        self._check_descent(name)
        children = tuple(node for child in group.children for node in self._nodes(child))
        return Branch(name, group.strategy, group.intensity, group.restart, children)

    def _check_descent(self, name: str) -> None:
        seen = [name]
        while (above := self._above.get(seen[-1])) is not None:
            if above in seen:
                names = sorted({*seen})
                each_other = f"the groups {' and '.join(names)} contain each other"
                msg = each_other if len(names) > 1 else f"the group {name} contains itself"
                raise DeclarationError(msg)
            seen.append(above)

    def _nodes(self, name: str) -> tuple[Node, ...]:
        return (self.branch(name),) if name in self._groups else tuple(self._kept[name])

    def top(self) -> tuple[Node, ...]:
        """Return what stands in no group, each group where the first of its processes would stand."""
        for name in self._groups:
            self._check_descent(name)
        found: dict[str, tuple[Node, ...]] = {}
        for service in self._kept:
            name = service
            while name in self._above:
                name = self._above[name]
            if name not in found:
                found[name] = self._nodes(name)
        return tuple(node for nodes in found.values() for node in nodes)


def grow(
    kept: Sequence[Kept],
    groups: Sequence[Group],
    strategy: str,
    intensity: Intensity | None,
    bound: Mapping[str, str] = _NOBODY,
) -> Branch:
    """Return the tree of an application's hosts and extensions, which are given in the order in which they start.

    `bound`: who else is in the ring, and as what. Raises `DeclarationError` for groups that do not fit them or each
    other.
    """
    if type(groups) not in (list, tuple) or any(type(each) is not Group for each in groups):
        msg = "groups are a list of Group(…)"
        raise DeclarationError(msg)
    members = {*(str(service) for _, service in kept), *(str(leaf.name) for leaf, _ in kept), *bound}
    names = [*(each.name for each in groups), *members, *({ROOT} - {*bound})]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        msg = f"the name {twice[0]} is taken; give each group a name that no member and no other group has"
        raise DeclarationError(msg)
    limit = OF_A_GROUP if intensity is None else checked(intensity, "group_intensity")
    chosen = word(Strategy, strategy, "the strategy of an application")
    root = Branch(ROOT, chosen, limit, Restart.PERMANENT, _Growing(kept, groups, bound).top())
    for each in (root, *root.branches()):
        _check_order(each)
    return root


def _check_order(branch: Branch) -> None:
    """Raise `DeclarationError` if an extension's death would cost the hosts that were started before it."""
    if branch.strategy is not Strategy.REST_FOR_ONE:
        return
    extension = ""
    for leaf in branch.leaves():
        if leaf.role is Role.EXTENSION:
            extension = extension or leaf.name
        elif extension:
            whose = "the application" if branch.name == ROOT else f"the group {branch.name}"
            msg = (
                f"{whose} is rest_for_one and names the extension {extension} before the host {leaf.name}; hosts start "
                f"before extensions, so name them first"
            )
            raise DeclarationError(msg)
