"""The broker's decisions: who may say what to whom, once, and what it costs to try."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

import pytest
from msgspec import structs

from tests.actors.switchboard import ANYBODY, BODY, METHODS, NOTARY, PLUGIN, UI, VAULT, Switchboard, routed
from trollbridge.actors.broker.routing import MOST_SESSION_MESSAGES, MOST_STRIKES, Port
from trollbridge.actors.broker.uids import CREDIT
from trollbridge.messages.control import NoticeKind
from trollbridge.messages.envelope import Kind
from trollbridge.messages.ids import NO_UID, HandlerUID, MemberId, Role
from trollbridge.messages.parts import LONG, WINDOW
from trollbridge.messages.record import Credit, Lease, Publish, PublishedHandler, Refusal, Request, Routed


def test_a_call_reaches_the_handler_that_its_uid_was_leased_for() -> None:
    """A22, A27: at a new address each time, with the same body; the reply brings the next UID."""
    board = Switchboard()
    uids = board.lease(UI, "vault.sign")
    assert [board.call(UI, VAULT, each) for each in uids[:3]] == ["sign"] * 3
    fresh = [board.reply(VAULT, UI, each) for each in uids[:3]]
    assert len({*uids, *fresh}) == CREDIT + 3
    assert [board.call(UI, VAULT, each or b"") for each in fresh] == ["sign"] * 3
    assert (board.notices, board.removed) == ([], [])


def test_a_uid_is_honoured_once_whoever_tries() -> None:
    """A27, F1, F3: used, another's, for another enclave, made up: one refusal for all, four lines in the log."""
    board = Switchboard()
    mine, theirs = board.lease(UI, "vault.sign"), board.lease(PLUGIN, "vault.list")
    assert board.call(UI, VAULT, mine[0]) == "sign"
    tries = [(UI, VAULT, mine[0]), (UI, VAULT, theirs[0]), (UI, NOTARY, mine[1]), (UI, VAULT, bytes(16))]
    assert [board.call(*each) for each in tries] == ["refused"] * 4
    assert board.notices == [
        (NoticeKind.UID_REFUSED, UI, "never issued, used or void", ""),
        (NoticeKind.UID_REFUSED, UI, "leased to another member", ""),
        (NoticeKind.UID_REFUSED, UI, "leased for a handler of another enclave", ""),
        (NoticeKind.UID_REFUSED, UI, "never issued, used or void", ""),
    ]
    assert (board.call(PLUGIN, VAULT, theirs[0]), board.call(UI, VAULT, mine[1])) == ("list", "sign")


def test_a_deadline_is_the_enclaves_to_judge() -> None:
    """A27: the broker passes it on, late or not: it is authenticated, and the caller is told by a typed error."""
    board = Switchboard()
    uid = board.lease(UI, "vault.sign")[0]
    [(to, item, _)] = board.take(UI, routed(Kind.CALL, UI, VAULT, uid, deadline=1))
    assert isinstance(item, Routed)
    assert (to, item.deadline) == (VAULT, 1)


def test_no_lease_without_a_grant() -> None:
    """A18, A26: not granted, not exported, no such enclave, another spelling: the same empty lease."""
    board = Switchboard()
    wanted = ["notary.list", "vault.die", "nobody.sign", "", "vault", "VAULT.sign", "vault.sign\0", "vault.sign.x"]
    assert [board.lease(UI, each) for each in wanted] == [[]] * len(wanted)
    assert board.notices == [(NoticeKind.LEASE_REFUSED, UI, "no grant", "")] * len(wanted)
    assert board.lease(PLUGIN, "vault.sign") == []


def test_an_enclave_gets_no_lease() -> None:
    """A22: enclaves answer; they call nobody."""
    board = Switchboard()
    assert board.lease(VAULT, "notary.sign") == []


def test_asking_again_for_a_full_lease_is_refused() -> None:
    """F7, P3: flooding the issue endpoint brings nothing, is logged and costs the link; others keep theirs."""
    board = Switchboard()
    theirs = board.lease(PLUGIN, "vault.list")
    board.lease(UI, "vault.sign")
    for _ in range(MOST_STRIKES):
        assert board.lease(UI, "vault.sign") == []
    assert board.removed == []
    board.take(UI, Request("vault.sign"))
    assert board.removed == [(UI, "too many refusals")]
    assert board.call(PLUGIN, VAULT, theirs[0]) == "list"


@pytest.mark.parametrize("claimed", [each for each in ANYBODY if each != PLUGIN])
@pytest.mark.parametrize("kind", [*Kind, 0, 6, 255])
def test_a_sender_is_who_its_link_says(claimed: MemberId, kind: int) -> None:
    """I2, I3: a header that names another sender is refused and logged against the true one, whatever its kind."""
    board = Switchboard()
    uid = board.lease(PLUGIN, "vault.list")[0]
    assert board.take(PLUGIN, routed(kind, claimed, VAULT, uid)) == [(PLUGIN, Refusal(uid), b"")]
    assert board.notices == [(NoticeKind.SENDER_REFUSED, PLUGIN, "the header names another sender or a route", "")]
    assert board.call(PLUGIN, VAULT, uid) == "list"


@pytest.mark.parametrize("name", ["Plugin", "plugin ", "plugin\0x", "plugin.evil", "plug", "pluginx", "plu\u0261in"])
def test_a_name_that_looks_like_ones_own_is_another(name: str) -> None:
    """I4: exact match, before anything else."""
    board = Switchboard()
    uid = board.lease(PLUGIN, "vault.list")[0]
    assert board.take(PLUGIN, routed(Kind.CALL, MemberId(name), VAULT, uid)) == [(PLUGIN, Refusal(uid), b"")]


def test_nobody_chooses_a_route() -> None:
    """A6, I2: an address from a client is refused, the right one too."""
    board = Switchboard()
    uid = board.lease(UI, "vault.sign")[0]
    answer = board.take(UI, routed(Kind.CALL, UI, VAULT, uid, via=bytes(16)))
    assert answer == [(UI, Refusal(uid), b"")]
    assert board.call(UI, VAULT, uid) == "sign"


@pytest.mark.parametrize(
    ("member", "kind"),
    [(UI, Kind.REPLY), (PLUGIN, Kind.REPLY), (VAULT, Kind.CALL), (UI, Kind.ITEM), (UI, 0), (VAULT, 8), (PLUGIN, 255)],
)
def test_a_role_that_does_not_say_this_is_refused(member: MemberId, kind: int) -> None:
    """I3, A11: clients do not reply, enclaves do not call, unknown kinds are nobody's."""
    board = Switchboard()
    uid = board.lease(UI, "vault.sign")[0]
    receiver = UI if member == VAULT else VAULT
    assert board.take(member, routed(kind, member, receiver, uid)) == [(member, Refusal(uid), b"")]
    assert board.why() == ["an envelope of a kind that this role does not send"]


def test_a_reply_goes_to_its_caller_once() -> None:
    """F8, I5: late, twice, from another enclave, to another member, without a call: dropped, counted, no strike."""
    board = Switchboard()
    uids = board.lease(UI, "vault.sign")
    board.call(UI, VAULT, uids[0])
    wrong = [(NOTARY, UI, uids[0]), (VAULT, PLUGIN, uids[0]), (VAULT, UI, uids[1]), (VAULT, UI, NO_UID)]
    assert [board.reply(*each) for each in wrong] == [None] * 4
    assert board.reply(VAULT, UI, uids[0]) is not None
    assert board.reply(VAULT, UI, uids[0]) is None
    assert [kind for kind, _, _, _ in board.notices] == [NoticeKind.REPLY_DROPPED] * 5
    assert [about for _, about, _, _ in board.notices] == [NOTARY, VAULT, VAULT, VAULT, VAULT]


def test_a_reply_to_one_who_has_left_goes_nowhere() -> None:
    """F8, I5: the next member of that name gets nothing of it."""
    board = Switchboard()
    uid = board.lease(PLUGIN, "vault.list")[0]
    board.call(PLUGIN, VAULT, uid)
    board.routing.close(PLUGIN)
    board.routing.open(Port(PLUGIN, Role.EXTENSION, frozenset({"vault.list"}), frozenset({VAULT})))
    assert board.reply(VAULT, PLUGIN, uid) is None
    assert board.call(PLUGIN, VAULT, uid) == "refused"


def test_repeated_refusals_cost_the_link() -> None:
    """A27: sixteen may be a mistake, the seventeenth is not; nobody else is touched."""
    board = Switchboard()
    uid = board.lease(UI, "vault.sign")[0]
    for _ in range(MOST_STRIKES):
        board.call(PLUGIN, VAULT, bytes(16))
    assert board.removed == []
    board.take(PLUGIN, routed(Kind.CALL, PLUGIN, VAULT, bytes(16)))
    assert board.removed == [(PLUGIN, "too many refusals")]
    assert board.call(UI, VAULT, uid) == "sign"


@pytest.mark.parametrize("uid", [bytes(16), b"x" * 16])
def test_a_session_is_founded_only_where_it_was_foreseen(uid: bytes) -> None:
    """A32, I8: with a peer of the spawn record, without a UID, and a bounded number of times."""
    board = Switchboard()
    answer = board.take(PLUGIN, routed(Kind.HANDSHAKE, PLUGIN, VAULT, uid))
    expected = [(VAULT, routed(Kind.HANDSHAKE, PLUGIN, VAULT), BODY)] if uid == NO_UID else []
    assert answer == expected
    for receiver in (NOTARY, UI, PLUGIN, MemberId("nobody")):
        assert board.take(PLUGIN, routed(Kind.HANDSHAKE, PLUGIN, receiver)) == []


def test_the_messages_that_found_a_session_are_few() -> None:
    """I8, P3: handshake and session messages share one small number."""
    board = Switchboard()
    kinds = [Kind.HANDSHAKE, Kind.SESSION] * MOST_SESSION_MESSAGES
    passed = [len(board.take(UI, routed(kind, UI, VAULT))) for kind in kinds]
    assert passed == [1] * MOST_SESSION_MESSAGES + [0] * MOST_SESSION_MESSAGES
    assert set(board.why()) == {"no session with that member is foreseen"}


def test_a_second_manifest_costs_the_link() -> None:
    """P6, A26: what was published first stays; after the seal, and from anybody but an enclave, it is the same."""
    for sender in (VAULT, UI, PLUGIN):
        board = Switchboard()
        uid = board.lease(UI, "vault.sign")[0] if sender != UI else b""
        board.take(sender, Publish((PublishedHandler("sign", bytes(32)),)))
        assert board.removed == [(sender, "published out of turn")]
        if sender == PLUGIN:
            assert board.call(UI, VAULT, uid) == "sign"


def test_a_manifest_while_the_ring_forms_is_taken_once() -> None:
    """P6: also before the seal."""
    board = Switchboard()
    board.routing.sealed = False
    board.take(VAULT, Publish(tuple(PublishedHandler(name, bytes(32)) for name in METHODS)))
    assert board.removed == [(VAULT, "published out of turn")]


@pytest.mark.parametrize("item", [Lease("vault.sign", bytes(32)), Credit("vault", 1)])
@pytest.mark.parametrize("member", [UI, VAULT, PLUGIN])
def test_what_only_the_broker_says_is_refused(member: MemberId, item: Lease | Credit) -> None:
    """I3, A11: a reflected lease or credit is a strike and nothing else."""
    board = Switchboard()
    assert board.take(member, item) == []
    assert board.notices == [(NoticeKind.RECORD_REFUSED, member, "an item that only the broker sends", "")]


def test_a_refusal_by_the_enclave_reaches_the_caller() -> None:
    """F3, F4: what the enclave could not open was the caller's doing: it is told nothing more, and it is counted."""
    board = Switchboard()
    uid = board.lease(UI, "vault.sign")[0]
    board.call(UI, VAULT, uid)
    assert board.take(VAULT, Refusal(uid)) == [(UI, Refusal(uid), b"")]
    assert board.notices == [(NoticeKind.ENVELOPE_REFUSED, UI, "the enclave could not open or accept it", "vault.sign")]
    assert board.reply(VAULT, UI, uid) is None


def test_an_enclave_may_refuse_a_call_before_its_last_envelope() -> None:
    """A14: a PART that it cannot open: the caller is told, the UID is void; another enclave's word is worth nothing."""
    board = Switchboard()
    uid = board.lease(UI, "vault.sign")[0]
    board.take(UI, routed(Kind.PART, UI, VAULT, uid))
    assert board.take(NOTARY, Refusal(uid)) == []
    assert board.take(VAULT, Refusal(uid)) == [(UI, Refusal(uid), b"")]
    assert board.why() == ["never issued, used or void", "the enclave could not open or accept it"]
    assert board.call(UI, VAULT, uid) == "refused"


def test_an_enclave_is_not_blamed_for_refusing_what_its_caller_left_behind() -> None:
    """F7, P3: a caller that is cut for bad calls must not drag the enclave down that still refuses them."""
    board = Switchboard()
    uids = board.lease(PLUGIN, "vault.list")[: 3 * MOST_STRIKES]
    assert {board.call(PLUGIN, VAULT, uid) for uid in uids} == {"list"}
    for uid in uids:
        board.take(VAULT, Refusal(uid))
    assert board.removed == [(PLUGIN, "too many refusals")]
    assert board.call(UI, VAULT, board.lease(UI, "vault.sign")[0]) == "sign"


@pytest.mark.parametrize("member", [UI, PLUGIN, NOTARY])
def test_nobody_refuses_the_call_of_another(member: MemberId) -> None:
    """F7, F8: only the enclave that was called can."""
    board = Switchboard()
    uid = board.lease(UI, "vault.sign")[0]
    board.call(UI, VAULT, uid)
    assert board.take(member, Refusal(uid)) == []
    assert board.notices == [(NoticeKind.REPLY_DROPPED, member, "never issued, used or void", "")]
    assert board.reply(VAULT, UI, uid) is not None


def test_parts_need_a_live_uid_and_pass_unchanged() -> None:
    """A53, A22: the UID is not used up by its parts; a used, foreign or made-up one carries none."""
    board = Switchboard()
    mine, theirs = board.lease(UI, "vault.sign"), board.lease(PLUGIN, "vault.list")
    part = routed(Kind.PART, UI, VAULT, mine[0])
    assert board.take(UI, part) == [(VAULT, part, BODY)]
    assert board.take(UI, part) == [(VAULT, part, BODY)]
    assert board.call(UI, VAULT, mine[0]) == "sign"
    for uid in (mine[0], theirs[0], bytes(16)):
        answer = board.take(UI, routed(Kind.PART, UI, VAULT, uid))
        assert answer == [(UI, Refusal(uid), b""), (UI, Credit(VAULT, 1), b"")]


def test_parts_of_two_calls_do_not_interleave() -> None:
    """P3: an enclave never holds more than one unfinished content of a client."""
    board = Switchboard()
    uids = board.lease(UI, "vault.sign")
    board.take(UI, routed(Kind.PART, UI, VAULT, uids[0]))
    answer = board.take(UI, routed(Kind.PART, UI, VAULT, uids[1]))
    assert answer == [(UI, Refusal(uids[1]), b""), (UI, Credit(VAULT, 1), b"")]
    assert board.call(UI, VAULT, uids[0]) == "sign"
    part = routed(Kind.PART, UI, VAULT, uids[1])
    assert board.take(UI, part) == [(VAULT, part, BODY)]


def test_parts_beyond_the_window_cost_the_link() -> None:
    """P3: credit comes back as parts leave; who does not wait for it is cut."""
    board = Switchboard()
    uid = board.lease(UI, "vault.sign")[0]
    part = routed(Kind.PART, UI, VAULT, uid)
    for _ in range(WINDOW):
        assert board.take(UI, part) == [(VAULT, part, BODY)]
    board.routing.part_left(UI, VAULT, 2)
    assert board.sent[-1] == (UI, Credit(VAULT, 2), b"")
    for _ in range(2):
        assert board.take(UI, part) == [(VAULT, part, BODY)]
    assert board.removed == []
    board.take(UI, part)
    assert board.removed == [(UI, "more long bodies than its credit")]


def long(item: Routed, length: int = LONG + 1) -> Routed:
    """Return a header that announces a body of another length."""
    return structs.replace(item, length=length)


def test_long_calls_and_replies_share_the_window_with_parts() -> None:
    """P3: a body that needs credit counts whatever its kind; one byte less, and it needs none."""
    board = Switchboard()
    uids = board.lease(UI, "vault.sign")
    for uid in uids[:WINDOW]:
        board.take(UI, long(routed(Kind.CALL, UI, VAULT, uid)))
    board.take(UI, long(routed(Kind.CALL, UI, VAULT, uids[WINDOW]), LONG))
    assert board.removed == []
    board.take(UI, routed(Kind.PART, UI, VAULT, uids[WINDOW + 1]))
    assert board.removed == [(UI, "more long bodies than its credit")]
    for uid in uids[:WINDOW]:
        board.take(VAULT, long(routed(Kind.REPLY, VAULT, UI, uid)))
    assert (VAULT, "more long bodies than its credit") not in board.removed


def test_a_long_body_that_goes_no_further_is_given_its_credit_back() -> None:
    """P3, A59: a refused call, a reply that nobody waits for; a short one has none to give."""
    board = Switchboard()
    call = routed(Kind.CALL, UI, VAULT, bytes(16))
    assert board.take(UI, long(call)) == [(UI, Refusal(bytes(16)), b""), (UI, Credit(VAULT, 1), b"")]
    assert board.take(UI, call) == [(UI, Refusal(bytes(16)), b"")]
    reply = routed(Kind.REPLY, VAULT, UI, bytes(16))
    assert [board.take(VAULT, long(reply)) for _ in range(WINDOW + 1)] == [[(VAULT, Credit(UI, 1), b"")]] * (WINDOW + 1)
    assert (board.take(VAULT, reply), board.removed) == ([], [])


def test_parts_for_a_member_that_has_left_are_no_fault() -> None:
    """A59: dropped, with the credit given back and no strike, however many; parts for one that is there are struck."""
    board = Switchboard()
    uid = board.lease(PLUGIN, "vault.list")[0]
    board.call(PLUGIN, VAULT, uid)
    part = routed(Kind.PART, VAULT, PLUGIN, uid)
    assert board.take(VAULT, part) == [(PLUGIN, part, BODY)]
    board.routing.close(PLUGIN)
    for _ in range(MOST_STRIKES + WINDOW):
        assert board.take(VAULT, part) == [(VAULT, Credit(PLUGIN, 1), b"")]
    assert (board.notices, board.removed) == ([], [])
    board.take(VAULT, routed(Kind.PART, VAULT, UI, uid))
    assert board.why() == ["never issued, used or void"]


def test_a_long_body_for_a_stranger_costs_a_strike_and_is_not_counted() -> None:
    """P3, F7: whether there is nobody of that name, or no session with it: nothing is kept, no credit comes back."""
    board = Switchboard()
    port = board.routing._ports[PLUGIN]
    strangers = [NOTARY, UI, PLUGIN, *(MemberId(f"nobody{number}" + "x" * 1000) for number in range(MOST_STRIKES - 3))]
    for each in strangers:
        assert board.take(PLUGIN, routed(Kind.PART, PLUGIN, each)) == [(PLUGIN, Refusal(NO_UID), b"")]
    assert (port.parts, board.removed) == ({}, [])
    assert (
        board.notices
        == [(NoticeKind.ENVELOPE_REFUSED, PLUGIN, "no session with that member is foreseen", "")] * MOST_STRIKES
    )
    board.take(PLUGIN, routed(Kind.PART, PLUGIN, MemberId("nobody")))
    assert board.removed == [(PLUGIN, "too many refusals")]


def test_an_answer_to_who_has_just_left_is_no_fault() -> None:
    """P3: an extension that joins and quits costs no enclave a strike, however often; the next is answered."""
    board = Switchboard()
    board.routing.close(PLUGIN)
    for kind in (Kind.HANDSHAKE, Kind.SESSION) * MOST_STRIKES:
        assert board.take(VAULT, routed(kind, VAULT, PLUGIN)) == []
    assert (board.notices, board.removed) == ([], [])
    board.routing.open(Port(PLUGIN, Role.EXTENSION, frozenset({"vault.list"}), frozenset({VAULT})))
    hello = routed(Kind.HANDSHAKE, VAULT, PLUGIN)
    assert board.take(VAULT, hello) == [(PLUGIN, hello, BODY)]


def test_an_enclave_sends_parts_only_of_what_it_owes() -> None:
    """F8: of a call in flight, to its caller."""
    board = Switchboard()
    uids = board.lease(UI, "vault.sign")
    board.call(UI, VAULT, uids[0])
    part = routed(Kind.PART, VAULT, UI, uids[0])
    assert board.take(VAULT, part) == [(UI, part, BODY)]
    for wrong in (routed(Kind.PART, VAULT, UI, uids[1]), routed(Kind.PART, VAULT, PLUGIN, uids[0])):
        assert board.take(VAULT, wrong)[0] == (VAULT, Refusal(wrong.uid), b"")
    assert board.reply(VAULT, UI, uids[0]) is not None
    assert board.take(VAULT, part)[0] == (VAULT, Refusal(uids[0]), b"")


def test_credit_for_parts_of_one_who_has_left_goes_nowhere() -> None:
    """A59: no error either."""
    board = Switchboard()
    board.routing.close(UI)
    board.routing.part_left(UI, VAULT, 1)
    assert board.sent == []


def test_a_uid_of_the_last_epoch_is_unknown_to_the_next() -> None:
    """A27, F2: every epoch has a broker of its own, and it starts with none."""
    old, new = Switchboard(), Switchboard()
    uids = old.lease(UI, "vault.sign")
    assert {new.call(UI, VAULT, each) for each in uids[:MOST_STRIKES]} == {"refused"}
    assert {old.call(UI, VAULT, each) for each in uids[:MOST_STRIKES]} == {"sign"}


def test_a_call_to_an_enclave_that_left_goes_nowhere() -> None:
    """I5: to its name, under which there is no link any more, and never to anybody else."""
    board = Switchboard()
    uid = board.lease(UI, "vault.sign")[0]
    board.routing.close(VAULT)
    answer = board.take(UI, routed(Kind.CALL, UI, VAULT, uid))
    assert ([to for to, _, _ in answer], VAULT in board.routing._ports) == ([VAULT], False)


def test_the_core_says_when_every_enclave_has_published() -> None:
    """R7: the broker reports ready only then."""
    board = Switchboard()
    assert board.routing.published
    board.routing.open(Port(MemberId("late"), Role.ENCLAVE, frozenset(), frozenset()))
    assert not board.routing.published


def test_a_refusal_says_the_same_whatever_the_cause() -> None:
    """I6: one type, one field, the UID that came; and every one is answered."""
    board = Switchboard()
    uids = board.lease(UI, "vault.sign")
    board.call(UI, VAULT, uids[0])
    causes = [
        routed(Kind.CALL, UI, VAULT, uids[0]),
        routed(Kind.CALL, UI, NOTARY, uids[1]),
        routed(Kind.CALL, PLUGIN, VAULT, uids[3]),
        routed(Kind.CALL, UI, VAULT, uids[4], via=b"x"),
        routed(Kind.REPLY, UI, VAULT, uids[5]),
        routed(Kind.CALL, UI, MemberId("nobody"), uids[6]),
    ]
    assert [board.take(UI, each) for each in causes] == [[(UI, Refusal(each.uid), b"")] for each in causes]


def test_a_header_passes_unchanged_but_for_its_route() -> None:
    """A53: at every hop, the same envelope."""
    board = Switchboard()
    uid = HandlerUID(board.lease(UI, "vault.sign")[0])
    sent = routed(Kind.CALL, UI, VAULT, uid, sequence=7, deadline=9)
    [(_, item, body)] = board.take(UI, sent)
    assert isinstance(item, Routed)
    assert (item.kind, item.sender, item.receiver, item.uid) == (sent.kind, sent.sender, sent.receiver, sent.uid)
    assert (item.sequence, item.deadline, item.length, item.tag) == (7, 9, sent.length, sent.tag)
    assert body is BODY
