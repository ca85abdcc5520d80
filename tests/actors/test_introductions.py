"""Who is told what when a host comes back: the server before its client, nobody twice, nobody that does not call it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import pytest

from trollbridge.actors.app import App
from trollbridge.actors.trust_ring.admission import Admission
from trollbridge.actors.trust_ring.formation import host_place
from trollbridge.actors.trust_ring.introductions import Introductions
from trollbridge.messages.control import Admit, Away, Renew, Withdrawn
from trollbridge.messages.grants import Grant, Longest
from trollbridge.messages.ids import BROKER, MemberId, Role

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trollbridge.actors.supervision.children import Children
    from trollbridge.actors.supervision.spawn import Process

FILES, RUNNER, VAULT, DESK, PLUGIN, OTHER = map(MemberId, ("files", "runner", "vault", "desk", "plugin", "other"))


class Standing:
    """Stands for a process."""

    def __init__(self, member: MemberId, role: Role) -> None:
        """Take who it is."""
        self.member: Final = member
        self.role: Final = role


class Table:
    """The processes of an application, and what each was told."""

    def __init__(self) -> None:
        """Start all but the extensions."""
        self.said: list[tuple[str, str, str]] = []
        self.messages: list[Any] = []
        roles = {VAULT: Role.ENCLAVE, FILES: Role.HOST, RUNNER: Role.HOST, DESK: Role.UI, BROKER: Role.BROKER}
        self.living = {member: Standing(member, role) for member, role in roles.items()}
        app = App(
            ui="desk:Desk",
            enclaves=["vault:Vault"],
            hosts=["hosts:Files", "hosts:Runner"],
            extensions=["plug:Plugin", "plug:Other"],
            grants={
                "desk": ["files.read", "runner.run"],
                "vault": [Grant("files.read").where(path=Longest(3))],
                "runner": ["files.read", "vault.sign"],
                "plugin": ["files.read"],
                "other": ["vault.sign"],
            },
        )
        self.app: Final = app
        self.admission: Final = Admission(app)
        self.introductions: Final = Introductions(app, cast("Children", self))
        self.introductions.begin()

    def __iter__(self) -> Iterator[Standing]:
        """Go over all."""
        return iter(tuple(self.living.values()))

    def get(self, member: str) -> Standing | None:
        """Return who lives."""
        return self.living.get(MemberId(member))

    def tell(self, to: Standing | MemberId, message: object) -> None:
        """Keep what is said: to whom, what, and about whom."""
        name = to.member if isinstance(to, Standing) else to
        self.messages.append(message)
        match message:
            case Admit(ticket):
                self.said.append((name, "admit", ticket.client))
            case Renew(ticket):
                self.said.append((name, "renew", ticket.server))
            case Away(host):
                self.said.append((name, "away", host))
            case Withdrawn(host):
                self.said.append((name, "withdrawn", host))
            case _:
                raise AssertionError(message)

    def told(self) -> list[tuple[str, str, str]]:
        """Return what was said since this was asked last."""
        said, self.said = self.said, []
        return said

    def ends(self, member: MemberId) -> None:
        """Have a process end."""
        del self.living[member]
        self.introductions.ended(member)

    def starts(self, member: MemberId, role: Role) -> Process:
        """Start the next process of a member; return it."""
        found = self.living[member] = Standing(member, role)
        return cast("Process", found)

    def joins(self, member: MemberId, role: Role) -> Process:
        """Start a process, and have it join."""
        process = self.starts(member, role)
        assert not self.introductions.waits(process)
        self.admit(process)
        self.introductions.ready(process)
        return process

    def admit(self, process: Process) -> tuple[str, ...]:
        """Admit a process; return with whom it has sessions as a client."""
        if process.role is Role.HOST:
            place = host_place(self.app, process.member)
        else:
            with self.admission.extension(process.member):
                found = self.admission.place(process.member)
            self.admission.close()
            assert found is not None
            place = found
        return self.introductions.admitted(process, place).peers


@pytest.fixture
def table() -> Table:
    """Return a sealed ring."""
    return Table()


def test_a_host_that_ends_is_away_for_its_clients(table: Table) -> None:
    """A50: once, whoever they are; an enclave that ends is nobody's business here."""
    table.ends(FILES)
    assert sorted(table.told()) == [(each, "away", FILES) for each in sorted((DESK, RUNNER, VAULT))]
    assert not table.introductions.linked(FILES)
    table.introductions.ended(FILES)
    table.ends(VAULT)
    assert table.told() == []


def test_one_that_never_had_a_link_was_never_there(table: Table) -> None:
    """A50, F8: what did not become ready is nothing that a client has to count."""
    table.ends(FILES)
    table.told()
    table.starts(FILES, Role.HOST)
    assert not table.introductions.linked(FILES)
    table.ends(FILES)
    assert table.told() == []


def test_a_host_that_is_back_is_introduced_the_server_first(table: Table) -> None:
    """A4, R7: a fresh token for each client; who is granted it under a condition does not learn which."""
    table.ends(FILES)
    table.told()
    table.joins(FILES, Role.HOST)
    said = table.told()
    for client in (DESK, RUNNER, VAULT):
        assert said.index((FILES, "admit", client)) < said.index((client, "renew", FILES))
    assert len(said) == 6
    tickets = [each.ticket for each in table.messages if isinstance(each, Admit | Renew)]
    assert len({each.token for each in tickets}) == 3
    conditions = {type(each).__name__: each.ticket.grants[0].conditions for each in table.messages if _of(each, VAULT)}
    assert (bool(conditions["Admit"]), bool(conditions["Renew"])) == (True, False)
    table.introductions.ready(cast("Process", table.living[FILES]))
    assert table.told() == []


def _of(message: object, client: MemberId) -> bool:
    return isinstance(message, Admit | Renew) and message.ticket.client == client


def test_who_calls_a_host_joins_after_it(table: Table) -> None:
    """A50: an extension, and a host that calls it; one that does not call it need not wait."""
    table.ends(FILES)
    table.ends(RUNNER)
    table.told()
    runner, plugin = table.starts(RUNNER, Role.HOST), table.starts(PLUGIN, Role.EXTENSION)
    assert [table.introductions.waits(each) for each in (runner, plugin)] == [True, True]
    table.joins(OTHER, Role.EXTENSION)
    assert table.told() == [(VAULT, "admit", OTHER)]
    files = table.starts(FILES, Role.HOST)
    assert not table.introductions.waits(files)
    table.admit(files)
    assert table.introductions.ready(files) == [runner, plugin]
    table.told()
    assert sorted(table.admit(runner)) == [FILES, VAULT]
    assert {each for each in table.told() if each[2] == RUNNER} == {(FILES, "admit", RUNNER), (VAULT, "admit", RUNNER)}
    table.introductions.ready(runner)
    assert [each for each in table.told() if RUNNER in each] == [(RUNNER, "admit", DESK), (DESK, "renew", RUNNER)]


def test_one_that_joined_just_as_its_host_ended_is_introduced_once_it_has(table: Table) -> None:
    """F8: it has a ticket for a process that is not there any more; it is told so, and then gets another."""
    plugin = table.starts(PLUGIN, Role.EXTENSION)
    assert not table.introductions.waits(plugin)
    table.admit(plugin)
    table.ends(FILES)
    table.joins(FILES, Role.HOST)
    said = [each for each in table.told() if PLUGIN in each]
    assert said == [(FILES, "admit", PLUGIN), (PLUGIN, "away", FILES)]
    table.introductions.ready(plugin)
    assert table.told() == [(FILES, "admit", PLUGIN), (PLUGIN, "renew", FILES)]


def test_a_host_that_does_not_come_back_holds_nobody_up(table: Table) -> None:
    """A50, A58: clients and broker are told; who joins then knows nothing of it, even if it comes back after all."""
    table.ends(FILES)
    plugin = table.starts(PLUGIN, Role.EXTENSION)
    assert table.introductions.waits(plugin)
    table.told()
    assert table.introductions.withdraw(FILES) == [plugin]
    assert table.told()[0] == (BROKER, "withdrawn", FILES)
    assert table.admit(plugin) == ()
    table.introductions.ready(plugin)
    assert table.told() == []
    table.introductions.returns(FILES)
    table.joins(FILES, Role.HOST)
    assert PLUGIN not in {each for said in table.told() for each in said}
    table.ends(FILES)
    assert (PLUGIN, "away", FILES) not in table.told()


def test_the_next_ring_begins_without_the_last(table: Table) -> None:
    """R4: who was gone is expected again."""
    table.ends(FILES)
    table.introductions.withdraw(FILES)
    table.told()
    table.starts(FILES, Role.HOST)
    table.introductions.begin()
    table.ends(FILES)
    assert sorted(table.told()) == [(each, "away", FILES) for each in sorted((DESK, RUNNER, VAULT))]
