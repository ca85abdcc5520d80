"""The gate: constraints hold on what is written, across restarts and clocks, and loosen for the owner alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from trollbridge.enclave.constraints import HOUR
from trollbridge.enclave.database import Database
from trollbridge.enclave.gate import SET_BACK, Caller, Content, Gate
from trollbridge.enclave.sealing import Kind
from trollbridge.enclave.storage import Put, Records
from trollbridge.messages.errors import (
    ApprovalNeeded,
    ApprovalRefused,
    InvalidArguments,
    NoSuchKey,
    NoSuchSecret,
    NotAllowed,
    StorageFailed,
    UsageError,
    VaultCorrupt,
    WrongPassword,
)
from trollbridge.messages.vault_secrets import MOST_PER_HOUR, Constraints

if TYPE_CHECKING:
    from trollbridge.enclave.sealing import VaultKey

KEY: Final = "key:" + "ab" * 20
SECRET: Final = "secret:token"
CONTENT: Final = Content.of(b"content")
NOW: Final = 1_800_000_000


class Bench:
    """A gate with its clock and its callers in the test's hand."""

    def __init__(self, records: Records) -> None:
        """Make a gate over records with one key and one API key."""
        self.records = records
        self.now = float(NOW)
        self.steady = 100.0
        self.caller = Caller("console", "ui")
        self.proofs = 0
        self.gate = self.open()
        if not records.has(Kind.SECRET_KEY, KEY[4:]):
            records.write(Put(Kind.SECRET_KEY, KEY[4:], b"key"), Put(Kind.API_KEY_INFO, "token", b"info"))

    def open(self) -> Gate:
        """Make the gate anew, as unlocking does."""
        self.gate = Gate(self.records, lambda: self.caller, clock=lambda: self.now, steady=lambda: self.steady)
        return self.gate

    def prove(self) -> None:
        """Count a right proof."""
        self.proofs += 1

    def constrain(self, subject: str = KEY, **fields: Any) -> None:  # noqa: ANN401  # fields of several types
        """Set constraints, as the owner who gives a proof."""
        self.gate.constrain(subject, Constraints(**fields), self.prove)

    def use(self, subject: str = KEY, operation: str = "sign", content: Content = CONTENT) -> None:
        """Use a key."""
        self.gate.admit(subject, operation, content)

    def ask(self) -> bytes:
        """Ask for a use that needs an approval; return its ticket."""
        with pytest.raises(ApprovalNeeded):
            self.use()
        return self.gate.approvals()[-1].ticket


@pytest.fixture
def bench(records: Records) -> Bench:
    """Return a gate over an empty vault."""
    return Bench(records)


def refuse_proof() -> None:
    """Stand for somebody who does not know the password."""
    raise WrongPassword


def test_a_key_without_constraints_is_used_without_a_write(bench: Bench) -> None:
    """By whoever is granted the call."""
    before = bench.records.generation
    for role in ("ui", "extension"):
        bench.caller = Caller("other", role)
        bench.use()
    assert bench.gate.constraints(KEY) == Constraints()
    assert bench.records.generation == before


def test_only_the_members_that_may_use_a_key_do(bench: Bench) -> None:
    """Named whole, the core UI no exception (K1)."""
    bench.constrain(members=("signer", "signer"))
    assert bench.gate.constraints(KEY) == Constraints(members=("signer",))
    for member in ("console", "sign", "signer2", "SIGNER", ""):
        bench.caller = Caller(member, "ui")
        with pytest.raises(NotAllowed):
            bench.use()
    bench.caller = Caller("signer", "extension")
    bench.use()


def test_a_key_is_used_until_a_date_and_no_longer(bench: Bench) -> None:
    """At that second it is over (K1)."""
    bench.constrain(until=NOW + 10)
    bench.now = NOW + 9.9
    bench.use()
    bench.now = NOW + 10
    with pytest.raises(NotAllowed):
        bench.use()


def test_a_key_is_used_so_often_in_any_hour(bench: Bench) -> None:
    """Counted over a window that slides; whatever the operation, and whatever became of it (K1)."""
    bench.constrain(per_hour=2)
    bench.use(operation="sign")
    bench.now += 600
    bench.use(operation="decrypt")
    with pytest.raises(NotAllowed, match="at 09:00 UTC"):
        bench.use()
    bench.now = NOW + HOUR - 1
    with pytest.raises(NotAllowed, match="at 09:00 UTC"):
        bench.use()
    bench.now = NOW + HOUR
    bench.use()
    with pytest.raises(NotAllowed):
        bench.use()


def test_counts_outlive_locking_and_a_restart(bench: Bench, database: Database, path: str, key: VaultKey) -> None:
    """They are on the disk before the use is (K1)."""
    bench.constrain(per_hour=2)
    bench.use()
    bench.open()
    bench.use()
    bench.open()
    with pytest.raises(NotAllowed):
        bench.use()
    database.close()
    again = Database.open(path)
    late = Bench(Records(again, key))
    with pytest.raises(NotAllowed):
        late.use()
    again.close()


def test_a_use_that_cannot_be_counted_does_not_happen(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """And an approval for it is not used up."""

    def refuse(*_: object) -> None:
        raise StorageFailed

    bench.constrain(per_hour=1, approval=True)
    bench.gate.approve(bench.ask())
    with monkeypatch.context() as full:
        full.setattr(Database, "write", refuse)
        with pytest.raises(StorageFailed):
            bench.use()
    bench.use()
    with pytest.raises(NotAllowed):
        bench.use()


@pytest.mark.parametrize("constraints", [Constraints(per_hour=9), Constraints(until=NOW + 9 * HOUR)])
@pytest.mark.parametrize("restarted", [False, True])
def test_a_clock_that_is_set_back_opens_nothing(bench: Bench, constraints: Constraints, *, restarted: bool) -> None:
    """Beyond a minute the key is refused, after a restart too; a small correction is none of it (K1)."""
    bench.gate.constrain(KEY, constraints, refuse_proof)
    bench.use()
    bench.now = NOW + HOUR
    bench.use()
    for back in (SET_BACK + 1, HOUR, 100 * HOUR):
        bench.now = NOW + HOUR - back
        if restarted:
            bench.open()
        with pytest.raises(NotAllowed, match="set back"):
            bench.use()
    bench.now = NOW + HOUR - SET_BACK
    bench.use()


def test_a_small_correction_of_the_clock_brings_no_time_back(bench: Bench) -> None:
    """Within the minute, time stands still: neither a use nor the date is undone (K1)."""
    bench.constrain(per_hour=1)
    bench.use()
    bench.now = NOW - 30
    with pytest.raises(NotAllowed, match="at 09:00 UTC"):
        bench.use()
    bench.constrain(until=NOW + 10)
    bench.now = NOW + 10
    for _ in range(2):
        with pytest.raises(NotAllowed, match="has passed"):
            bench.use()
        bench.now = NOW + 5


def test_the_owner_can_accept_the_clock_as_it_is(bench: Bench) -> None:
    """After a clock that ran ahead: by setting constraints anew, with the password; what was used still counts."""
    bench.constrain(per_hour=2)
    bench.now = NOW + 1000 * HOUR
    bench.use()
    bench.now = NOW
    with pytest.raises(NotAllowed, match="set back"):
        bench.use()
    with pytest.raises(WrongPassword):
        bench.gate.constrain(KEY, Constraints(per_hour=2), refuse_proof)
    bench.constrain(per_hour=2)
    assert bench.proofs == 1
    bench.open()
    bench.use()
    with pytest.raises(NotAllowed, match="2 times"):
        bench.use()
    bench.now = NOW + HOUR
    bench.use()


FULL: Final = Constraints(approval=True, members=("a", "b"), per_hour=5, until=NOW + 5)


@pytest.mark.parametrize(
    ("fields", "free"),
    [
        ({}, True),
        ({"members": ("b",)}, True),
        ({"per_hour": 1}, True),
        ({"until": NOW + 4}, True),
        ({"approval": False}, False),
        ({"members": ()}, False),
        ({"members": ("a", "b", "c")}, False),
        ({"members": ("c",)}, False),
        ({"per_hour": 0}, False),
        ({"per_hour": 6}, False),
        ({"until": None}, False),
        ({"until": NOW + 6}, False),
    ],
)
def test_to_loosen_a_constraint_takes_the_password(bench: Bench, fields: dict[str, Any], *, free: bool) -> None:
    """To tighten it does not; a refused change changes nothing (K1)."""
    full: dict[str, Any] = {each: getattr(FULL, each) for each in FULL.__struct_fields__}
    bench.constrain(**full)
    assert bench.proofs == 0
    wanted = Constraints(**{**full, **fields})
    if free:
        bench.gate.constrain(KEY, wanted, refuse_proof)
    else:
        with pytest.raises(WrongPassword):
            bench.gate.constrain(KEY, wanted, refuse_proof)
        assert bench.gate.constraints(KEY) == FULL
        bench.gate.constrain(KEY, wanted, bench.prove)
    assert bench.gate.constraints(KEY) == wanted
    assert bench.proofs == (0 if free else 1)


def test_a_tightened_limit_keeps_its_count_and_a_lifted_one_forgets_it(bench: Bench) -> None:
    """Setting the same again gives no new hour (K1)."""
    bench.constrain(per_hour=2)
    bench.use()
    bench.use()
    bench.constrain(per_hour=2)
    bench.constrain(per_hour=1)
    assert bench.proofs == 0
    with pytest.raises(NotAllowed):
        bench.use()
    bench.constrain()
    assert (bench.proofs, bench.gate.constraints(KEY)) == (1, Constraints())
    bench.use()
    assert not bench.records.has(Kind.USES, KEY)
    assert not bench.records.has(Kind.CONSTRAINTS, KEY)


@pytest.mark.parametrize(
    "fields",
    [
        {"members": ("",)},
        {"members": ("Console",)},
        {"members": tuple(f"m{number}" for number in range(65))},
        {"per_hour": -1},
        {"per_hour": MOST_PER_HOUR + 1},
        {"until": 0},
        {"until": -1},
        {"until": 1 << 40},
    ],
)
def test_constraints_that_mean_nothing_are_refused(bench: Bench, fields: dict[str, Any]) -> None:
    """Rather than kept and never met, or always."""
    with pytest.raises(InvalidArguments):
        bench.constrain(**fields)


@pytest.mark.parametrize("subject", ["", "key:", "key:" + "AB" * 20, "key:" + "cd" * 20, "ab" * 20, "other:token"])
def test_what_is_no_key_cannot_be_constrained(bench: Bench, subject: str) -> None:
    """Neither by half its name nor in other letters: constraints would lie beside the key (K1)."""
    with pytest.raises(NoSuchKey):
        bench.constrain(subject, approval=True)
    with pytest.raises(NoSuchSecret):
        bench.constrain("secret:", approval=True)
    with pytest.raises(NoSuchSecret):
        bench.constrain("secret:Token", approval=True)
    bench.constrain(SECRET, approval=True)
    assert bench.gate.constraints(SECRET) == Constraints(approval=True)


def test_a_use_is_approved_once_and_carried_out_once(bench: Bench) -> None:
    """The asker repeats the call; the second time needs its own approval (K2)."""
    bench.constrain(approval=True)
    ticket = bench.ask()
    with pytest.raises(ApprovalNeeded):
        bench.use()
    assert [each.ticket for each in bench.gate.approvals()] == [ticket], "asked again, it waits once"
    (waiting,) = bench.gate.approvals()
    assert (waiting.digest, waiting.size, waiting.head, waiting.asked) == (CONTENT.digest, 7, "content", NOW)
    bench.gate.approve(ticket)
    with pytest.raises(ApprovalNeeded):
        bench.use(content=Content.of(b"other"))
    bench.use()
    with pytest.raises(ApprovalNeeded):
        bench.use()
    bench.gate.approve(bench.ask())
    bench.steady += 120
    with pytest.raises(ApprovalNeeded):
        bench.use()


def test_a_content_of_which_nothing_is_known_does_not_wait(bench: Bench) -> None:
    """There is nothing to show, so nobody is asked; without an approval each time, the key is used on it."""
    unknown = Content(b"", 0, b"")
    bench.constrain(approval=True)
    with pytest.raises(ApprovalNeeded, match="must be known"):
        bench.use(content=unknown)
    assert bench.gate.approvals() == ()
    bench.constrain(per_hour=1)
    bench.use(content=unknown)


def test_a_use_can_be_judged_without_being_admitted(bench: Bench) -> None:
    """Before it begins, and while it goes on, when its own count does not matter any more; approvals aside (K1)."""
    bench.constrain(approval=True, members=("console",), until=NOW + 10)
    bench.gate.check(KEY)
    assert bench.gate.approvals() == ()
    bench.caller = Caller("other", "ui")
    with pytest.raises(NotAllowed):
        bench.gate.check(KEY, counted=True)
    bench.caller = Caller("console", "ui")
    bench.now += 10
    for counted in (False, True):
        with pytest.raises(NotAllowed):
            bench.gate.check(KEY, counted=counted)
    bench.constrain(per_hour=1)
    for _ in range(3):
        bench.gate.check(KEY)
    bench.use()
    bench.gate.check(KEY, counted=True)
    with pytest.raises(NotAllowed):
        bench.gate.check(KEY)


def test_who_works_with_a_key_is_told_when_it_is_changed(bench: Bench) -> None:
    """Limited anew, in whichever direction, changed, forgotten (K1)."""
    told: list[str] = []
    bench.gate.watch(told.append)
    bench.constrain(per_hour=1)
    bench.constrain(SECRET)
    bench.gate.changed(KEY)
    bench.gate.forget(KEY)
    assert told == [KEY, SECRET, KEY, KEY]


def test_a_refusal_lasts_until_the_vault_is_locked(bench: Bench) -> None:
    """And so does nothing else: approvals and what waits are gone with it, too (K2)."""
    bench.constrain(approval=True)
    bench.gate.refuse(bench.ask())
    with pytest.raises(ApprovalRefused):
        bench.use()
    bench.open()
    bench.gate.approve(bench.ask())
    bench.open()
    bench.ask()


def test_what_the_constraints_refuse_nobody_is_asked_to_approve(bench: Bench) -> None:
    """A request that cannot pass anyway does not wait."""
    bench.constrain(approval=True, members=("signer",))
    with pytest.raises(NotAllowed):
        bench.use()
    assert bench.gate.approvals() == ()
    bench.constrain(approval=True, per_hour=1)
    bench.gate.approve(bench.ask())
    bench.use()
    with pytest.raises(NotAllowed):
        bench.use()
    assert bench.gate.approvals() == ()


@pytest.mark.parametrize("role", ["extension", "broker", "enclave", ""])
def test_only_the_core_ui_approves_and_constrains(bench: Bench, role: str) -> None:
    """By the role of the spawn record: no other member may even see what waits (R8, A41, K2)."""
    bench.constrain(approval=True)
    bench.caller = Caller("other", role)
    with pytest.raises(ApprovalNeeded):
        bench.use()
    for attempt in (
        bench.gate.approvals,
        lambda: bench.gate.approve(bytes(16)),
        lambda: bench.gate.refuse(bytes(16)),
        lambda: bench.gate.constrain(KEY, Constraints(approval=True, per_hour=1), bench.prove),
        bench.gate.check_core,
    ):
        with pytest.raises(NotAllowed, match="own user interface"):
            attempt()
    bench.caller = Caller("console", "ui")
    assert [each.member for each in bench.gate.approvals()] == ["other"]
    assert (bench.proofs, bench.gate.constraints(KEY)) == (0, Constraints(approval=True))


def test_what_is_kept_goes_with_the_key(bench: Bench) -> None:
    """Deleted with it, and carried to its new name with its count (K1)."""
    bench.records.write(Put(Kind.API_KEY_INFO, "new", b"info"))
    bench.constrain(SECRET, per_hour=1)
    bench.use(SECRET)
    bench.records.write(*bench.gate.renaming(SECRET, "secret:new"))
    bench.gate.renamed(SECRET, "secret:new")
    assert bench.gate.constraints(SECRET) == Constraints()
    with pytest.raises(NotAllowed):
        bench.use("secret:new")
    bench.gate.forget("secret:new")
    assert bench.gate.constraints("secret:new") == Constraints()
    assert not bench.records.has(Kind.USES, "secret:new")


def test_a_new_name_takes_over_nothing_that_lay_under_it(bench: Bench) -> None:
    """Not even the limits of somebody else that were left there."""
    stale = Put(Kind.CONSTRAINTS, "secret:new", bench.records.get(Kind.CONSTRAINTS, SECRET) or b"junk")
    bench.records.write(stale, *bench.gate.renaming(SECRET, "secret:new"))
    assert bench.gate.constraints("secret:new") == Constraints()


@pytest.mark.parametrize("kind", [Kind.CONSTRAINTS, Kind.USES])
def test_a_sealed_record_that_means_nothing_lets_nothing_pass(bench: Bench, kind: Kind) -> None:
    """It is corruption, not the absence of a limit (A58)."""
    bench.constrain(per_hour=1)
    bench.records.write(Put(kind, KEY, b"junk"))
    with pytest.raises(VaultCorrupt):
        bench.use()


def test_a_gate_of_a_locked_vault_admits_nothing(bench: Bench) -> None:
    """Who kept a reference has nothing in hand (A44)."""
    bench.records.drop()
    with pytest.raises(UsageError):
        bench.use()


def test_a_content_is_told_by_its_digest_its_size_and_its_head() -> None:
    """SHA-256 of all of it, and 256 bytes to show."""
    content = Content.of(b"x" * 1000)
    assert (len(content.digest), content.size, content.head) == (32, 1000, b"x" * 256)
    assert Content.of(b"x" * 1001).digest != content.digest
