"""Who gets what to form a ring: fresh tokens, each in exactly two hands, grants only where they were given."""

from __future__ import annotations

from collections import Counter
from typing import Final

from msgspec import structs

from trollbridge.actors.app import App, Child
from trollbridge.actors.trust_ring.formation import Place, caller_place, next_epoch, ring_places
from trollbridge.messages.control import Granted
from trollbridge.messages.grants import DECIDING, Grant
from trollbridge.messages.ids import Epoch, MemberId, Role

UI: Final = MemberId("console")
VAULT: Final = MemberId("vault")
NOTARY: Final = MemberId("notary")
PLUGIN: Final = MemberId("plugin")


def application() -> App:
    """Return a declaration with a UI, two enclaves and two extensions."""
    return App(
        ui=Child("a.b:C", name="console"),
        enclaves=[Child("a.b:D", name="vault"), Child("a.b:E", name="notary")],
        extensions=[Child("a.b:F", name="plugin"), Child("a.b:G", name="idle")],
        grants={"console": ["vault.sign", "vault.list"], "plugin": ["notary.stamp"]},
    )


def test_each_member_of_the_ring_has_a_place_and_an_extension_has_none() -> None:
    """A33: extensions come later, when the ring is sealed."""
    places = ring_places(application())
    assert {name: (place.role, place.handlers, place.peers) for name, place in places.items()} == {
        UI: (Role.UI, ("vault.list", "vault.sign"), (VAULT, NOTARY)),
        VAULT: (Role.ENCLAVE, (), (UI,)),
        NOTARY: (Role.ENCLAVE, (), (UI,)),
    }


def test_a_ticket_carries_the_grants_for_its_enclave_only() -> None:
    """A18, A26: sorted, without the enclave's name; a UI has a session with every enclave, for the ring key."""
    tickets = ring_places(application())[UI].tickets
    assert [(each.client, each.client_role, each.server, each.methods) for each in tickets] == [
        (UI, "ui", VAULT, ("sign", "list")),
        (UI, "ui", NOTARY, ()),
    ]


def test_an_extension_has_sessions_only_where_it_was_granted_something() -> None:
    """A22: and an extension without grants has none at all."""
    place = caller_place(application(), PLUGIN, Role.EXTENSION)
    assert [(each.server, each.client_role, each.methods) for each in place.tickets] == [
        (NOTARY, "extension", ("stamp",))
    ]
    assert (place.handlers, place.peers) == (("notary.stamp",), (NOTARY,))
    idle = caller_place(application(), MemberId("idle"), Role.EXTENSION)
    assert (idle.tickets, idle.handlers) == ((), ())


def test_every_token_is_fresh_and_in_exactly_two_hands() -> None:
    """A38, A40: a link's token is its member's and the broker's; a session's is in two members' tickets."""
    seen: Counter[bytes] = Counter()
    for _ in range(20):
        places = ring_places(application())
        links = [place.token for place in places.values()]
        sessions = [ticket.token for place in places.values() for ticket in place.tickets]
        assert {len(token) for token in (*links, *sessions)} == {32}
        assert (len(set(links)), sorted(Counter(sessions).values())) == (3, [2, 2])
        assert not set(links) & set(sessions)
        seen.update({*links, *sessions})
    assert set(seen.values()) == {1}
    assert len(seen) == 20 * 5


def test_an_enclave_learns_what_anybody_is_granted() -> None:
    """A18: of its own handlers, those of extensions included, so that it can say at boot what is missing."""
    places = ring_places(application())
    assert {name: place.granted for name, place in places.items()} == {
        UI: (),
        VAULT: (Granted(UI, "ui", (Grant("sign", rule=1), Grant("list", rule=2))),),
        NOTARY: (Granted(PLUGIN, "extension", (Grant("stamp", rule=1),)),),
    }
    assert caller_place(application(), PLUGIN, Role.EXTENSION).granted == ()


def test_a_client_learns_the_methods_and_not_the_rules() -> None:
    """A18, S4: patterns, values, rates and approvals are in the server's copy of a ticket only; the token is one."""
    rule = Grant("vault.sign").where(key="internal").at_most(3, seconds=60).approved()
    app = App(
        ui=Child("a.b:C", name="console"),
        enclaves=[Child("a.b:D", name="vault"), Child("a.b:E", name="notary")],
        extensions=[Child("a.b:F", name="plugin")],
        grants={"plugin": [rule, "vault.sign", "vault.list"], "notary": [rule]},
    )
    plugin, places = caller_place(app, PLUGIN, Role.EXTENSION), ring_places(app)
    for place, grants in ((plugin, ("sign", "list")), (places[NOTARY], ("sign",)), (places[UI], DECIDING)):
        ticket = next(each for each in place.tickets if (each.client, each.server) == (place.member, VAULT))
        [told] = [each for each in place.join(Epoch(1)).tickets if (each.client, each.server) == (place.member, VAULT)]
        assert told.grants == tuple(map(Grant, grants))
        assert (told.methods, told.token) == (ticket.methods, ticket.token)
    of_vault = places[VAULT].join(Epoch(1))
    assert next(each for each in of_vault.tickets if each.client == NOTARY).grants == (_of_server(rule),)
    assert next(each for each in plugin.tickets).grants[0] == _of_server(rule)
    assert {each.client for each in of_vault.granted} == {UI, NOTARY, PLUGIN}


def _of_server(rule: Grant) -> Grant:
    return structs.replace(rule, handler="sign", rule=1)


def test_no_repr_of_a_place_shows_a_token() -> None:
    """I6, A37: it says whose place it is."""
    place = Place(UI, Role.UI, b"t" * 32, (), ())
    assert repr(place) == "<Place of console>"


def test_epochs_count_up() -> None:
    """A27: by one."""
    assert [next_epoch(Epoch(each)) for each in (0, 1, 41)] == [1, 2, 42]
