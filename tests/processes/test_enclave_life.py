"""What an enclave knows and does between its calls: who calls it, when it is woken, what it says of itself."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Final

from tests.harness import acts
from tests.harness.puppeteer import Backstage, Puppeteer, perform
from trollbridge.messages.control import FROM_CHILD, Statement
from trollbridge.messages.posture import Evidence, Mechanism, State

if TYPE_CHECKING:
    from pathlib import Path

    from tests.harness.puppet import Strings

APPLICATION: Final = "tests.processes.errand_app:application"
GLANCE: Final = 0.005
"""Seconds between two looks at what another thread is told."""


def test_the_caller_is_who_its_session_says(tmp_path: Path) -> None:
    """A22: the member and its role, for a UI and an extension alike; between two calls there is none."""
    with Backstage(tmp_path) as back, perform(APPLICATION, extension=back.path) as puppet:
        extra = back.next_hand()
        for _ in range(2):
            assert puppet.result("employer.who") == ["puppet", "ui"]
            assert extra.result("employer.who") == ["extra", "extension"]
        puppet.result("employer.wake_in", 0.0)
        assert puppet.result("employer.woken") == ["alone: UsageError"]


def test_an_enclave_is_woken_once_at_its_time() -> None:
    """K2: without a call, a thread or a signal; not before, not again, and not if it was taken back."""
    with perform(APPLICATION) as puppet:
        puppet.result("employer.wake_in", 3600.0)
        assert puppet.result("employer.woken") == []
        puppet.result("employer.wake_in", 0.05)
        assert _woken(puppet) == ["alone: UsageError"]
        puppet.result("employer.wake_in", None)
        assert puppet.result("employer.woken") == puppet.result("employer.woken") == ["alone: UsageError"]


def test_an_enclave_is_woken_though_nobody_calls_it() -> None:
    """K2: what it does then reaches the UI by itself."""
    with perform(APPLICATION, layers="asleep") as puppet:
        puppet.result("employer.wake_in", 0.05)
        puppet.act(until_layers, text="awake")
        assert puppet.result("employer.woken") == ["alone: UsageError"]


def _woken(puppet: Puppeteer) -> Any:  # noqa: ANN401  # what the handler returns
    until = time.monotonic() + 20
    while time.monotonic() < until:
        if found := puppet.result("employer.woken"):
            return found
    raise TimeoutError


def test_a_call_that_comes_too_late_finds_what_waking_has_left() -> None:
    """K2: the time passes while a call runs: that call is not disturbed, and the next comes after the waking."""
    with perform(APPLICATION) as puppet:
        working, next_one = puppet.call("employer.wake_in", 0.05, 0.2), puppet.call("employer.woken")
        assert (working.get(), next_one.get()) == ([], ["alone: UsageError"])


def test_an_enclave_that_fails_when_woken_ends() -> None:
    """R7: as one that fails in on_start: nothing it keeps may be in a state that nobody knows."""
    with perform(APPLICATION) as puppet:
        puppet.call("employer.wake_in", -1.0)
        assert puppet.wait_for("process.failed", member="employer").why == "start failed"
        puppet.await_epoch(2)
        assert puppet.result("employer.woken") == []


def layers(strings: Strings) -> dict[str, list[str]]:
    """Return the level and what is said of the vault's layers, of each process as the UI sees it."""
    return {
        each.member: [
            each.level.value,
            *(f"{it.state}: {it.evidence}" for it in each.evidence if it.mechanism is Mechanism.VAULT_LAYERS),
        ]
        for each in strings.bridge.posture()
    }


def test_what_an_enclave_says_of_itself_stands_in_its_posture() -> None:
    """A12: from the seal on, and anew when it changes; it changes no level."""
    with perform(APPLICATION, layers="keychain and password") as puppet:
        assert puppet.act(layers)["employer"] == ["full", "in force: keychain and password"]
        puppet.result("employer.layers", "password only")
        puppet.act(until_layers, text="password only")
        assert puppet.act(layers)["employer"] == ["full", "in force: password only"]
        puppet.kill("employer")
        puppet.await_epoch(2)
        assert puppet.act(layers)["employer"] == ["full", "in force: keychain and password"]
    with perform(APPLICATION) as puppet:
        assert puppet.act(layers)["employer"] == ["full"]


def until_layers(strings: Strings, text: str) -> None:
    """Wait until the UI has been told."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        if any(text in each for found in layers(strings).values() for each in found):
            return
        threading.Event().wait(GLANCE)
    raise TimeoutError


FALSE: Final = {
    "of what the kernel does": Statement((Evidence(Mechanism.SECCOMP, State.IN_FORCE, "as I say"),)),
    "of anything, as a UI": Statement((Evidence(Mechanism.VAULT_LAYERS, State.IN_FORCE, "as I say"),)),
}


def test_an_enclave_cannot_say_what_only_the_kernel_knows() -> None:
    """I3: it is refused and killed; its posture says what was measured."""
    with perform(APPLICATION) as puppet:
        puppet.call("employer.say", FROM_CHILD.encode(FALSE["of what the kernel does"]))
        assert puppet.wait_for("process.refused", member="employer").next == "it is killed"
        puppet.await_epoch(2)


def test_an_enclave_does_not_flood_the_user_interface() -> None:
    """P3: an honest one says what is new, however often it is asked; one that goes on and on is killed."""
    same = FROM_CHILD.encode(Statement((Evidence(Mechanism.VAULT_LAYERS, State.IN_FORCE, "as I say"),)))
    with perform(APPLICATION) as puppet:
        for _ in range(70):
            puppet.result("employer.layers", "the same")
        for _ in range(63):
            puppet.result("employer.say", same)
        assert puppet.epoch == 1
        puppet.call("employer.say", same)
        assert puppet.wait_for("process.refused", member="employer").next == "it is killed"
        puppet.await_epoch(2)


def test_a_user_interface_says_nothing_of_this_kind() -> None:
    """I3: nor does it have errands; it is killed, and started again."""
    with perform(APPLICATION) as puppet:
        puppet.tell(acts.control_packet, packet=FROM_CHILD.encode(FALSE["of anything, as a UI"]))
        assert puppet.wait_for("process.refused", member="puppet").next == "it is killed"
        assert puppet.wait_for("ring.sealed", epoch=2).epoch == 2
