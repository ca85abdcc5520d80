"""An application on a kernel that lacks something: it refuses to start and says what to change, or says what is less.

The kernel is this machine's own; what it lacks is taken away by a filter around the application (`harness/lacking`).
"""

from __future__ import annotations

import errno
import json
import re
import resource
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.harness.lacking import lacking, old_landlock
from tests.harness.ordinary import ROOT, ordinary
from tests.ui_adapter.commands import Ended, run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

APPLICATION = '''
"""An application that shows its posture."""
import hmac
import json
import secrets
import threading

from trollbridge.actors import App, Child, Sandbox
from trollbridge.actors.handlers import handler
from trollbridge.enclave import EnclaveActor
from trollbridge.ui_adapter.bridge import UiActor


class Keeper(EnclaveActor):
    @handler
    def seal(self, document: bytes) -> bytes:
        return hmac.digest(b"key", document, "sha256")

    @handler
    def look(self, path: str) -> bytes:
        with open(path, "rb") as file:
            return file.read(10)

    @handler
    def scribble(self, path: str) -> None:
        with open(path, "w") as file:
            file.write("x")

    @handler
    def dial(self) -> None:
        import socket

    @handler
    def late(self) -> None:
        import wave

    @handler
    def spawn(self) -> None:
        import os
        os.posix_spawn("/bin/true", ["true"], {})

    @handler
    def thread(self) -> None:
        threading.Thread(target=print).start()

    @handler
    def raw(self, number: int) -> int:
        import ctypes
        return ctypes.CDLL(None).syscall(number, 0, 0, 0)


class Show(UiActor):
    def main(self, bridge):
        bridge.keeper.seal(b"document").get(timeout=20)
        print(json.dumps({each.member: [each.level, {it.mechanism: [it.state, it.evidence, it.remedy]
              for it in each.evidence}] for each in bridge.posture()}))


HANDLERS = ["keeper.seal", "keeper.look", "keeper.scribble", "keeper.late", "keeper.spawn", "keeper.thread"]


def declared(**more):
    return App(ui=Show, enclaves=[Keeper], grants={"show": HANDLERS}, **more)


app = declared()
modest = declared(least="partial")
least_of_all = declared(least="process-only")
'''


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder with the application, which everybody may read; it has a folder `home` for an ordinary user."""
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are closed to others, at any time again
        place = Path(name)
        place.chmod(0o755)
        (place / "home").mkdir()
        (place / "kept.py").write_text(APPLICATION, encoding="utf-8")
        yield place


@pytest.fixture(params=["as whoever runs the tests", "as an ordinary user"])
def user(request: pytest.FixtureRequest, folder: Path) -> list[str]:
    """Return a prefix for commands."""
    return ordinary([], folder / "home") if request.param == "as an ordinary user" else []


def start(folder: Path, prefix: Sequence[str], name: str = "app", *, afterwards: float = 0.0) -> Ended:
    """Run one of the applications to its end; `afterwards`: as in `run`, for a process of the harness itself."""
    return run("run", "-q", f"kept:{name}", folder=folder, prefix=prefix, afterwards=afterwards)


def posture(ended: Ended) -> dict[str, tuple[str, dict[str, list[str]]]]:
    """Return what the application has shown of itself."""
    found: dict[str, tuple[str, dict[str, list[str]]]] = json.loads(ended.output)
    return found


def test_with_everything_there_it_runs_in_full(folder: Path, user: list[str]) -> None:
    """A12, A3: the positive half: enclave and broker are kept `full`, and each mechanism has its evidence."""
    ended = start(folder, user)
    assert (ended.code, ended.said) == (0, [])
    found = posture(ended)
    assert {member: level for member, (level, _) in found.items()} == {
        "supervisor": "process-only",
        "broker": "full",
        "keeper": "full",
        "show": "process-only",
    }
    _, evidence = found["keeper"]
    assert {name: state for name, (state, _, _) in evidence.items()} == {
        "execute-only start": "not needed" if ROOT and not user else "in force",
        **dict.fromkeys(("non-dumpable", "no core file", "no new privileges", "no capabilities"), "in force"),
        **dict.fromkeys(("one thread at the lock", "Landlock", "seccomp", "secret memory"), "in force"),
        "no imports after the lock": "in force",
    }
    assert all(seen for _, seen, _ in evidence.values())


LACKING = {
    "a kernel without Landlock": ({"landlock_create_ruleset": errno.ENOSYS}, "Landlock: no Landlock", "older than"),
    "Landlock not enabled": ({"landlock_create_ruleset": errno.EOPNOTSUPP}, "Landlock: no Landlock", "lsm= parameter"),
    "a container that refuses Landlock": ({"landlock_restrict_self": errno.EPERM}, "Landlock: ABI", "container"),
    "a container that refuses seccomp": ({"seccomp": errno.EPERM}, "seccomp: seccomp(2)", "container"),
    "a kernel without seccomp": ({"seccomp": errno.EINVAL}, "seccomp: seccomp(2)", "CONFIG_SECCOMP_FILTER"),
}


@pytest.mark.parametrize("what", LACKING)
def test_what_is_missing_ends_the_start_with_one_clear_sentence(folder: Path, user: list[str], what: str) -> None:
    """A12, R9: by default nothing starts below `full`; the sentence names member, mechanism, cause and remedy."""
    refused, mechanism, remedy = LACKING[what]
    ended = start(folder, [*user, *lacking([], refused)])
    assert (ended.code, ended.output, len(ended.said)) == (77, "", 1)
    [sentence] = ended.said
    assert re.match(r"trollbridge: (broker|keeper): the kernel keeps it partial, and full is asked for\. ", sentence), (
        sentence
    )
    assert mechanism in sentence
    assert remedy in sentence
    assert "least='partial'" in sentence


def test_less_is_accepted_only_where_it_is_asked_for_and_it_is_said(folder: Path, user: list[str]) -> None:
    """R9: an explicit weaker mode, always reported."""
    ended = start(folder, [*user, *lacking([], {"landlock_create_ruleset": errno.ENOSYS})], "modest")
    assert ended.code == 0
    level, evidence = posture(ended)["keeper"]
    assert (level, evidence["Landlock"][0], evidence["seccomp"][0]) == ("partial", "missing", "in force")
    both: Mapping[str, int] = {"landlock_create_ruleset": errno.ENOSYS, "seccomp": errno.EPERM}
    refused = start(folder, [*user, *lacking([], both)], "modest")
    assert (refused.code, "the kernel keeps it process-only, and partial is asked for" in refused.said[0]) == (77, True)
    accepted = start(folder, [*user, *lacking([], both)], "least_of_all")
    assert (accepted.code, posture(accepted)["keeper"][0]) == (0, "process-only")


def test_an_old_landlock_is_enough_where_seccomp_closes_its_gaps(folder: Path, user: list[str]) -> None:
    """A kernel of Debian 12's age (ABI 1 or 2) keeps an enclave without network in full, and says which ABI it is."""
    ended = start(folder, [*user, *old_landlock([], 1)], afterwards=20.0)  # whoever answers for the old kernel
    assert ended.code == 0
    level, evidence = posture(ended)["keeper"]
    assert (level, evidence["Landlock"][0], "ABI 1" in evidence["Landlock"][1]) == ("full", "in force", True)


def test_without_executable_memory_files_the_start_finds_another_way(folder: Path, user: list[str]) -> None:
    """K3: `vm.memfd_noexec=2`: an unnamed file instead; still nobody looks in."""
    ended = start(folder, [*user, *lacking([], {"memfd_create": errno.EACCES})])
    assert ended.code == 0
    expected = "not needed" if ROOT and not user else "in force"
    assert posture(ended)["keeper"][1]["execute-only start"][0] == expected


@pytest.mark.parametrize(
    ("refused", "state"),
    [
        ({"memfd_secret": errno.ENOSYS}, "weaker"),
        ({"memfd_secret": errno.ENOSYS, "mlock": errno.EPERM}, "missing"),
    ],
)
def test_memory_that_cannot_be_secret_is_reported(
    folder: Path, user: list[str], refused: dict[str, int], state: str
) -> None:
    """A37: memory locked where the system allows, else reported; the level does not depend on it."""
    ended = start(folder, [*user, *lacking([], refused)])
    assert ended.code == 0
    level, evidence = posture(ended)["keeper"]
    assert (level, evidence["secret memory"][0], bool(evidence["secret memory"][2])) == ("full", state, True)


def test_a_limit_of_no_locked_memory_is_reported(folder: Path) -> None:
    """`RLIMIT_MEMLOCK` 0: an ordinary user is told which limit to raise."""
    limited = ["/bin/sh", "-c", 'ulimit -l 0 && exec "$@"', "sh", *ordinary([], folder / "home")]
    ended = start(folder, limited)
    assert ended.code == 0
    state, _, remedy = posture(ended)["keeper"][1]["secret memory"]
    assert (state, "ulimit -l" in remedy) == ("missing", True)
    assert resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] != 0


def test_a_container_without_the_right_to_trace_changes_nothing(folder: Path, user: list[str]) -> None:
    """The look from outside reads /proc/PID/status, which needs no right."""
    refused: dict[str, int] = dict.fromkeys(("ptrace", "process_vm_readv", "pidfd_getfd", "kcmp"), errno.EPERM)
    ended = start(folder, [*user, *lacking([], refused)])
    assert (ended.code, posture(ended)["keeper"][0]) == (0, "full")


def test_without_entropy_nothing_starts(folder: Path, user: list[str]) -> None:
    """R9: no source of randomness: refused, never a constant; no traceback."""
    ended = start(folder, [*user, *lacking([], {"getrandom": errno.ENOSYS})])
    assert (ended.code, ended.output) == (71, "")
    assert not [line for line in ended.said if "Traceback" in line or line.startswith(" ")]
