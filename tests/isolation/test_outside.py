"""The supervisor's own look at a process: what is seen decides, whatever the process says of itself."""

from __future__ import annotations

import os
import resource
import select
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.harness.ordinary import ROOT
from trollbridge.actors.isolation import libraries, outside
from trollbridge.actors.isolation.kernel import PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS, prctl
from trollbridge.messages.posture import Evidence, Mechanism, State

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    import pytest

START: Final = Evidence(Mechanism.EXECUTE_ONLY, State.MISSING, "seen at the start")


def claims(*mechanisms: Mechanism) -> list[Evidence]:
    """Return what a liar says."""
    return [Evidence(each, State.IN_FORCE, "believe me") for each in mechanisms]


@contextmanager
def child(prepare: Callable[[], object]) -> Generator[int]:
    """Fork a process that prepares itself and then waits for its end; yield its PID once it is ready."""
    ready, said = os.pipe()
    hold, release = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(release)
            prepare()
            os.write(said, b"r")
            os.read(hold, 1)
        finally:
            os._exit(0)
    os.close(hold)
    try:
        assert select.select([ready], [], [], 20)[0]
        yield pid
    finally:
        os.close(release)
        os.waitpid(pid, 0)
        os.close(ready)
        os.close(said)


def seen(pid: int, *said: Evidence) -> dict[Mechanism, Evidence]:
    """Return what the look comes to, by mechanism."""
    return {each.mechanism: each for each in outside.look(pid, START, said)}


def test_claims_that_proc_contradicts_are_not_believed() -> None:
    """A12: seccomp, no new privileges and capabilities are read off /proc/PID/status of every thread."""
    everything = (Mechanism.SECCOMP, Mechanism.NO_NEW_PRIVILEGES, Mechanism.NO_CORE)
    with child(lambda: None) as pid:
        limits = resource.prlimit(pid, resource.RLIMIT_CORE)
        found = seen(pid, *claims(*everything))
    states = dict.fromkeys(everything, State.MISSING)
    if limits == (0, 0):  # the tests themselves run without core files: then the claim is true
        states[Mechanism.NO_CORE] = State.IN_FORCE
    assert {each: found[each].state for each in everything} == states
    assert "the process says otherwise" in found[Mechanism.SECCOMP].remedy


def test_how_it_started_is_the_supervisors_word_alone() -> None:
    """K3: a process that was readable from its start cannot say that it was not."""
    with child(lambda: None) as pid:
        found = seen(pid, *claims(Mechanism.EXECUTE_ONLY))
    assert found[Mechanism.EXECUTE_ONLY] == START


def test_what_proc_confirms_counts() -> None:
    """The honest half: no_new_privs set, no core file; as an ordinary user there are no capabilities either."""

    def prepare() -> None:
        prctl(PR_SET_NO_NEW_PRIVS, 1)
        prctl(PR_SET_DUMPABLE, 0)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    with child(prepare) as pid:
        found = seen(pid, *claims(Mechanism.NO_NEW_PRIVILEGES, Mechanism.NO_CORE, Mechanism.NON_DUMPABLE))
    states = {each: found[each].state for each in (Mechanism.NO_NEW_PRIVILEGES, Mechanism.NO_CORE)}
    assert states == dict.fromkeys(states, State.IN_FORCE)
    assert found[Mechanism.NON_DUMPABLE].state is State.IN_FORCE
    assert (Mechanism.NO_CAPABILITIES in found) is not ROOT


def test_a_process_that_can_be_looked_into_is_seen_to_be(tmp_path: Path) -> None:
    """K3: as an ordinary user, the owner of /proc/PID/environ tells; root sees no difference and goes by the report."""
    del tmp_path
    with child(lambda: None) as pid:
        found = seen(pid, *claims(Mechanism.NON_DUMPABLE))
    assert found[Mechanism.NON_DUMPABLE].state is (State.IN_FORCE if ROOT else State.MISSING)


def test_somebody_elses_filter_is_not_this_processs_own() -> None:
    """R9: in a container every process has a filter; one that reports none of its own has none of ours."""
    missing = Evidence(Mechanism.SECCOMP, State.MISSING, "refused")
    with child(lambda: None) as pid:
        assert seen(pid, missing)[Mechanism.SECCOMP] == missing


def test_a_process_that_has_ended_has_nothing() -> None:
    """Nothing is claimed for nobody."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    assert outside.statuses(pid) == []
    assert seen(pid, *claims(Mechanism.SECCOMP))[Mechanism.SECCOMP].state is State.MISSING


def test_the_folders_of_code_are_installed_code_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A49: what a .pth file or an editable install adds to the path is somebody's work, not a library."""
    with tempfile.TemporaryDirectory() as work:
        before = libraries.folders()
        monkeypatch.setattr(sys, "path", [*sys.path, work])
        assert libraries.folders() == before
        assert work not in before
    assert any(each.endswith("site-packages") for each in before)
    assert str(Path(os.__file__).resolve().parent) in before
