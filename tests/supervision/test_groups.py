"""Restart types, groups and strategies as they are declared: whole or refused, saying what to change."""

from __future__ import annotations

from typing import Any, Final

import pytest

from trollbridge.actors.app import App, Child
from trollbridge.actors.hosts.declaring import Files
from trollbridge.actors.supervision.declaring import OF_A_GROUP, ROOT, Branch, Group, Leaf, Restart, Strategy
from trollbridge.actors.supervision.intensity import Intensity
from trollbridge.actors.supervision.rekeying import Rekey
from trollbridge.actors.supervision.stopping import order
from trollbridge.messages.errors import DeclarationError

HOSTS: Final = ["a.b:Files", Child("a.b:Programs", replicas=2)]
EXTENSIONS: Final = ["a.b:Fill", "a.b:Lint", Child("a.b:Sync", restart="transient", shutdown=0)]


def app(**more: Any) -> App:  # noqa: ANN401  # any of the declaration's arguments
    """Return an application with two hosts, one of which has a replica, and three extensions."""
    given: dict[str, Any] = {"ui": "a.b:Ui", "enclaves": ["a.b:Vault"], "hosts": HOSTS, "extensions": EXTENSIONS}
    return App(**{**given, **more})


def shape(branch: Branch) -> list[object]:
    """Return the names of a tree, lists in lists."""
    return [shape(each) if isinstance(each, Branch) else each.name for each in branch.children]


def test_without_groups_all_stand_under_one_supervisor_one_for_one() -> None:
    """A55: hosts permanent, extensions temporary, at most three restarts in ten seconds."""
    tree = app().tree
    assert (tree.name, tree.strategy, tree.intensity) == (ROOT, Strategy.ONE_FOR_ONE, OF_A_GROUP)
    assert Intensity(3, 10.0) == OF_A_GROUP
    assert shape(tree) == ["files", "programs", "programs_2", "fill", "lint", "sync"]
    restarts = {str(leaf.name): leaf.restart for leaf in tree.leaves()}
    assert {restarts[name] for name in ("files", "programs", "programs_2")} == {Restart.PERMANENT}
    assert (restarts["fill"], restarts["sync"]) == (Restart.TEMPORARY, Restart.TRANSIENT)


def test_groups_nest_by_name_and_stand_where_the_first_of_theirs_would() -> None:
    """A55: the order of the list is the order of the start; replicas go with their service."""
    groups = [
        Group("inner", ["lint", "fill"], strategy="one_for_all", restart="transient"),
        Group("outer", ["programs", "inner"], strategy="rest_for_one", intensity=Intensity(1, 2.0)),
    ]
    tree = app(groups=groups, strategy="rest_for_one", group_intensity=Intensity(9, 9.0), hosts=HOSTS).tree
    assert shape(tree) == ["files", ["programs", "programs_2", ["lint", "fill"]], "sync"]
    assert (tree.strategy, tree.intensity) == (Strategy.REST_FOR_ONE, Intensity(9, 9.0))
    outer, inner = tree.branches()
    assert (outer.name, outer.strategy, outer.intensity) == ("outer", Strategy.REST_FOR_ONE, Intensity(1, 2.0))
    assert (inner.name, inner.restart, inner.intensity) == ("inner", Restart.TRANSIENT, OF_A_GROUP)
    assert all(isinstance(each, Leaf) for each in inner.children)


def test_the_order_of_the_end_is_the_reverse_of_the_start() -> None:
    """A55, A59: extensions, user interface, hosts, enclaves, broker."""
    assert order(app(enclaves=["a.b:Vault", "a.b:Mint"])) == (
        *("sync", "lint", "fill", "ui", "programs_2", "programs", "files", "mint", "vault", "broker"),
    )


CYCLE: Final = [Group("one", ["two"]), Group("two", ["one"])]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (
            {"groups": [Group("g", ["vault"])]},
            "the group g names vault, but that is an enclave, which is bound to the ring, and restarts with it;",
        ),
        ({"groups": [Group("g", ["ui"])]}, "the group g names ui, but that is the user interface, which is bound"),
        ({"groups": [Group("g", ["broker"])]}, "the group g names broker, but that is the broker, which is bound"),
        ({"groups": [Group("g", ["programs_2"])]}, "the group g names programs_2"),
        (
            {"groups": [Group("g", ["nobody"]), Group("h", ["fill"])]},
            "names nobody, but the hosts, extensions and other groups are files, programs, fill, lint, sync, h",
        ),
        (
            {"groups": [Group("g", ["nobody"])], "hosts": (), "extensions": ()},
            "the group g names nobody, but there is no host, no extension and no other group",
        ),
        ({"groups": [Group("g", ["g"])]}, "the group g contains itself"),
        ({"groups": [Group("vault", ["fill"])]}, "the name vault is taken; give each group a name that no member"),
        ({"groups": [Group("programs_2", ["fill"])]}, "the name programs_2 is taken"),
        ({"groups": [Group("ui", ["fill"])]}, "the name ui is taken"),
        ({"groups": [Group("broker", ["fill"])]}, "the name broker is taken"),
        ({"rekey": 3600}, "an application: rekey is a Rekey(seconds=…, calls=…), not 3600"),
        ({"name": 5}, "5 names no application: a letter or digit, then"),
        ({"name": None}, "None names no application"),
        ({"groups": CYCLE}, "the groups one and two contain each other"),
        ({"groups": [*CYCLE, Group("three", ["fill"])]}, "the groups one and two contain each other"),
        ({"groups": [Group("g", ["fill", "fill"])]}, "the group g names a child twice"),
        ({"groups": [Group("g", ["fill"]), Group("h", ["fill"])]}, "fill stands in the groups g and h"),
        ({"groups": [Group("g", ["fill"]), Group("g", ["lint"])]}, "the name g is taken"),
        ({"groups": [Group("fill", ["lint"])]}, "the name fill is taken"),
        ({"groups": [Group("root", ["fill"])]}, "the name root is taken"),
        ({"groups": ["fill"]}, "groups are a list of Group(…)"),
        ({"groups": "fill"}, "groups are a list of Group(…)"),
        ({"groups": Group("g", ["fill"])}, "groups are a list of Group(…)"),
        (
            {"groups": [Group("g", ["fill", "files"], strategy="rest_for_one")]},
            "the group g is rest_for_one and names the extension fill before the host files",
        ),
        (
            {"groups": [Group("g", ["files", "fill"])], "strategy": "rest_for_one"},
            "the application is rest_for_one and names the extension fill before the host programs",
        ),
        ({"strategy": "simple_one_for_one"}, "the strategy of an application is one of one_for_one, one_for_all,"),
        ({"group_intensity": 3}, "group_intensity: intensity is an Intensity(restarts, seconds), not int"),
        ({"intensity": (3, 10)}, "an application: intensity is an Intensity(restarts, seconds), not tuple"),
        ({"ui": Child("a.b:Ui", restart="permanent")}, "ui is bound to the ring, and restarts with it"),
        ({"enclaves": [Child("a.b:Vault", restart="temporary")]}, "vault is bound to the ring"),
    ],
)
def test_a_combination_that_cannot_be_is_refused_whole(wrong: dict[str, Any], said: str) -> None:
    """A55, R7: before anything starts, in one sentence."""
    with pytest.raises(DeclarationError) as refusal:
        app(**wrong)
    assert said in str(refusal.value)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: Child("a:B", restart="always"), "b: restart is one of permanent, transient, temporary, not 'always'"),
        (lambda: Child("a:B", restart=""), "not ''"),
        (lambda: Child("a:B", shutdown=-1), "b: shutdown is a number of seconds from 0 to 600"),
        (lambda: Child("a:B", shutdown=601), "shutdown"),
        (lambda: Child("a:B", shutdown=float("nan")), "shutdown"),
        (lambda: Child("a:B", shutdown=True), "shutdown"),
        (lambda: Group("Big", ["a"]), "'Big' is no name for a group"),
        (lambda: Group(5, ["a"]), "5 is no name for a group"),  # type: ignore[arg-type]
        (lambda: Group("g", [Group("h", ["a"])]), 'by its name: "h", and the Group itself stands in App(groups=[…])'),  # type: ignore[list-item]
        (lambda: Group("g", [Child("a:B")]), 'by its name: "b" instead of the Child'),  # type: ignore[list-item]
        (lambda: Group("g", [Files]), 'by its name: "files" instead of Files'),  # type: ignore[list-item]
        (lambda: Group("g", [5]), "by its name: a text, not 5"),  # type: ignore[list-item]
        (lambda: Group("g", []), "the group g takes a list of names"),
        (lambda: Group("g", "abc"), "the group g takes a list of names"),
        (lambda: Group("g", ["a"], strategy="all"), "the strategy of the group g is one of one_for_one, one_for_all"),
        (lambda: Group("g", ["a"], restart="never"), "the restart of the group g is one of permanent, transient"),
        (lambda: Intensity(-1, 1.0), "restarts are a whole number from 0 on, not -1"),
        (lambda: Intensity(restarts=True), "restarts"),
        (lambda: Intensity(1, 0.0), "the period is a finite number of seconds above 0, not 0.0"),
        (lambda: Intensity(1, float("inf")), "the period is a finite number of seconds above 0, not inf"),
        (lambda: Intensity(1, float("nan")), "period"),
    ],
)
def test_a_word_that_is_none_is_refused_where_it_stands(wrong: Any, said: str) -> None:  # noqa: ANN401  # a declaration
    """A55, R7: with the words that there are."""
    with pytest.raises(DeclarationError) as refusal:
        wrong()
    assert said in str(refusal.value)


def test_an_enclave_may_have_the_name_of_what_has_none() -> None:
    """A55: the root is no group that anybody could name."""
    assert app(enclaves=["a.b:Root"]).tree.name == ROOT


def test_a_whole_number_of_seconds_is_one_wherever_one_is_declared() -> None:
    """A55, A58: what is told to operators is a number of the one kind that travels; a number too large is refused."""
    given = app(
        intensity=Intensity(5, 30),
        group_intensity=Intensity(2, 7),
        groups=[Group("g", ["fill"], intensity=Intensity(1, 2))],
        rekey=Rekey(seconds=60, drain=3),
        extensions=[Child("a.b:Fill", shutdown=4)],
    )
    [group] = given.tree.branches()
    numbers = [
        *(given.intensity.period, given.tree.intensity.period, group.intensity.period),
        *(given.rekey.seconds, given.rekey.drain, given.extensions[0].shutdown),
    ]
    assert [(type(each), each) for each in numbers] == [(float, each) for each in (30.0, 7.0, 2.0, 60.0, 3.0, 4.0)]
    assert (Rekey().seconds, Rekey(drain=0).drain, Intensity(1, 2)) == (None, 0.0, Intensity(1, 2.0))
    for wrong in (lambda: Intensity(1, 10**400), lambda: Rekey(seconds=10**400), lambda: Rekey(drain=True)):
        with pytest.raises(DeclarationError):
            wrong()


def test_a_shutdown_may_take_up_to_ten_minutes_or_no_time_at_all() -> None:
    """A55: graceful, bounded, or brutal; without a word it is two seconds, of a user interface five."""
    assert [Child("a:B", shutdown=each).shutdown for each in (0, 0.5, 600)] == [0.0, 0.5, 600.0]
    assert Child("a:B").shutdown is None
