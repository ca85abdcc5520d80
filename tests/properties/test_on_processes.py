"""The two invariants against real processes: supervisor, broker, enclave and user interface, any order, any kill.

The machines of the pure cores try thousands of runs; these try a few, each with a whole application under it. The
puppet holds promises and UIDs and is as hostile as its acts; the journal, which outlives enclaves, counts executions.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.attacks import hostile_acts
from tests.harness import acts
from tests.harness.puppeteer import Distant, Puppeteer, perform
from trollbridge.actors.broker.routing import MOST_STRIKES
from trollbridge.messages.errors import Outcome

DEEP: Final = settings().max_examples > 1_000
FEW: Final = settings(
    max_examples=100 if DEEP else 6,
    stateful_step_count=60 if DEEP else 20,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
    deadline=None,
)
WHICH: Final = st.integers(0, 1_000)


class Application(RuleBasedStateMachine):
    """An application whose user interface and enclave are played upon."""

    def __init__(self) -> None:
        """Start nothing yet."""
        super().__init__()
        self.stack = ExitStack()
        self.epoch = 1
        self.number = 0

    @initialize()
    def begin(self) -> None:
        """Start it."""
        folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        self.journal = folder / "journal"
        self.puppet: Puppeteer = self.stack.enter_context(
            perform(journal=str(self.journal), restarts=1_000, period=0.001)
        )

    def ran(self) -> Counter[str]:
        """Return how often each word was written by a handler."""
        return Counter(each for each in self.journal.read_text("utf-8").splitlines() if each != "start")

    def word(self) -> str:
        """Return a new word."""
        self.number += 1
        return f"word {self.number}"

    def next_epoch(self) -> None:
        """Wait for the ring after a fall."""
        self.epoch += 1
        self.puppet.await_epoch(self.epoch)

    def teardown(self) -> None:
        """Stop it, and prove that nothing is left."""
        self.stack.close()


class UidsOnProcesses(Application):
    """A UID is honoured at most once."""

    def __init__(self) -> None:
        """Start with no UID."""
        super().__init__()
        self.uids: list[bytes] = []
        self.under: dict[bytes, list[str]] = {}
        self.strikes = 0
        self.live: set[bytes] = set()

    @rule(count=st.integers(1, 3))
    def take(self, count: int) -> None:
        """Take UIDs out of the lease, to be used as anybody pleases."""
        for _ in range(count):
            uid = self.puppet.act(hostile_acts.take, handler="probe.mark")
            assert uid not in self.uids
            self.uids.append(uid)
            self.live.add(uid)

    @rule(which=WHICH)
    def use(self, which: int) -> None:
        """Call under any UID that there ever was."""
        if not self.uids:
            return
        uid, word = self.uids[which % len(self.uids)], self.word()
        if uid not in self.live:
            if self.strikes == MOST_STRIKES:
                return
            self.strikes += 1
        arguments = {"promise": word, "handler": "probe.mark", "uid": uid, "arguments": [word]}
        self.puppet.act(hostile_acts.call_under, **arguments)
        told = Distant(self.puppet, word).outcome()
        assert told == ("value" if uid in self.live else "Refused")
        self.live.discard(uid)
        self.under.setdefault(uid, []).append(word)

    @rule()
    def use_a_new_one(self) -> None:
        """Take one and call under it, as an honest client does."""
        self.take(1)
        self.use(len(self.uids) - 1)

    @rule(which=WHICH, threads=st.integers(2, 6))
    def race(self, which: int, threads: int) -> None:
        """Call under one UID from several threads at once."""
        if not self.uids or self.strikes + threads > MOST_STRIKES:
            return
        uid, words = self.uids[which % len(self.uids)], [self.word() for _ in range(threads)]
        self.strikes += threads - (uid in self.live)
        self.puppet.act(hostile_acts.race, handler="probe.mark", uid=uid, words=words)
        assert self.puppet.result("probe.echo", b"") == b""
        assert sum(self.ran()[word] for word in words) == (uid in self.live)
        self.live.discard(uid)
        self.under.setdefault(uid, []).extend(words)

    @rule()
    def call(self) -> None:
        """Call honestly."""
        word = self.word()
        self.puppet.result("probe.mark", word)
        assert self.ran()[word] == 1

    @rule(member=st.sampled_from(["probe", "broker"]))
    def crash(self, member: str) -> None:
        """Kill a member; every UID is of the last ring now."""
        self.puppet.kill(member)
        self.next_epoch()
        self.live.clear()
        self.strikes = 0

    @invariant()
    def each_uid_at_most_once(self) -> None:
        """A27: over all epochs, whoever used it and however often."""
        if not self.under:
            return
        ran = self.ran()
        assert [uid.hex() for uid, words in self.under.items() if sum(ran[word] for word in words) > 1] == []


class PromisesOnProcesses(Application):
    """A promise resolves exactly once."""

    def __init__(self) -> None:
        """Start with no promise."""
        super().__init__()
        self.promises: dict[str, Distant] = {}
        self.told: dict[str, str] = {}
        self.fallen: set[str] = set()

    @rule(count=st.integers(1, 8))
    def call(self, count: int) -> None:
        """Make calls and do not wait for them."""
        for _ in range(count):
            word = self.word()
            self.promises[word] = self.puppet.call("probe.mark", word)

    @rule(which=WHICH)
    def wait(self, which: int) -> None:
        """Wait for any promise, resolved or not: it says what it has said before."""
        if self.promises:
            self._ask(list(self.promises)[which % len(self.promises)])

    def _ask(self, word: str) -> None:
        outcome = self.promises[word].outcome()
        assert self.told.setdefault(word, outcome) == outcome

    @rule(which=WHICH)
    def cancel(self, which: int) -> None:
        """Give any call up."""
        if self.promises:
            word = list(self.promises)[which % len(self.promises)]
            if self.promises[word].cancel():
                assert word not in self.told
            self._ask(word)

    @rule()
    def poll(self) -> None:
        """Take what has arrived."""
        self.puppet.act(acts.poll)

    @rule(member=st.sampled_from(["probe", "broker"]))
    def crash(self, member: str) -> None:
        """Kill a member while calls are under way: each of them is told."""
        self.puppet.kill(member)
        self.next_epoch()
        for word in self.promises:
            self._ask(word)

    def teardown(self) -> None:
        """Ask every promise once more; what it says must agree with what has run."""
        try:
            for word in getattr(self, "promises", {}):
                self._ask(word)
            ran = self.ran() if self.promises else Counter[str]()
            for word, outcome in self.told.items():
                assert ran[word] <= 1
                assert outcome in {"value", "Cancelled", *(f"RingDismantled: {each}" for each in Outcome)}
                assert ran[word] == 1 or outcome not in {"value", "RingDismantled: done"}
                assert ran[word] == 0 or outcome != "RingDismantled: not started"
        finally:
            super().teardown()


UidsOnProcessesTest = UidsOnProcesses.TestCase
UidsOnProcessesTest.__doc__ = "A27, F1, F2, F6 on real processes: a UID is honoured at most once."
UidsOnProcessesTest.settings = FEW
PromisesOnProcessesTest = PromisesOnProcesses.TestCase
PromisesOnProcessesTest.__doc__ = (
    "A14, A58, F8 on real processes: a promise resolves exactly once, and says what is true."
)
PromisesOnProcessesTest.settings = FEW
