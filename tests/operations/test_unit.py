"""The example's unit of systemd: correct, hardened, and an application works in what it leaves of the kernel."""

from __future__ import annotations

import re
import shutil
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.conftest import REPOSITORY
from tests.harness.lacking import lacking
from tests.harness.ordinary import ordinary
from tests.harness.running import PATIENCE, Running
from tests.operations.service_manager import ServiceManager
from tests.operations.unit import allowed, analyze, directives, refused, without_new_code
from tests.ui_adapter.commands import COMMAND

if TYPE_CHECKING:
    from collections.abc import Iterator

UNIT: Final = REPOSITORY / "examples" / "systemd" / "notary.service"
MODULES: Final = ("notary.py", "systemd/counter.py", "systemd/service.py")
PROGRAM: Final = "/opt/notary/bin/trollbridge"
MOST_EXPOSED: Final = 10
"""Tenths, as `systemd-analyze security` counts from 0 to 100; it calls a service without any hardening 96."""


def _installed(folder: Path, text: str) -> str:
    """Write the unit with this machine's command in the place of the installed one; return its path."""
    path = folder / "notary.service"
    path.write_text(text.replace(PROGRAM, COMMAND), encoding="utf-8")
    return str(path)


def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    """`systemd-analyze verify` says nothing, and does say something where a word is wrong."""
    text = UNIT.read_text(encoding="utf-8")
    assert PROGRAM in text
    good = analyze("verify", "--man=no", _installed(tmp_path, text))
    assert (good.returncode, good.stdout, good.stderr) == (0, "", "")
    bad = analyze("verify", "--man=no", _installed(tmp_path, text.replace("Type=notify", "Type=notified")))
    assert "notified" in bad.stderr


def test_the_unit_is_hardened(tmp_path: Path) -> None:
    """By systemd's own count; without the directives it is not."""
    text = UNIT.read_text(encoding="utf-8")
    threshold = f"--threshold={MOST_EXPOSED}"
    good = analyze("security", "--offline=true", "--no-pager", threshold, _installed(tmp_path, text))
    assert good.returncode == 0, good.stdout
    bare = re.sub(r"^(Protect|Private|Restrict|SystemCall)\w+=.*\n", "", text, flags=re.MULTILINE)
    bad = analyze("security", "--offline=true", "--no-pager", threshold, _installed(tmp_path, bare))
    assert bad.returncode == 1


def test_the_unit_says_what_our_exit_codes_mean() -> None:
    """128+15 is a stop in order; a weak kernel and a wrong declaration are not tried again."""
    text = UNIT.read_text(encoding="utf-8")
    assert directives(text, "SuccessExitStatus") == ["143"]
    assert directives(text, "RestartPreventExitStatus") == ["77 78"]
    assert {"memfd_secret", "seccomp", "landlock_restrict_self", "execve"} <= allowed(text)
    assert not {"mount", "ptrace", "bpf", "setuid", "init_module", "reboot"} & allowed(text)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder as the unit's WorkingDirectory is; pytest's own ones are closed to an ordinary user."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        place.chmod(0o755)
        (place / "state").mkdir()
        for each in MODULES:
            shutil.copy(REPOSITORY / "examples" / each, place)
        yield place


def test_the_service_runs_in_what_the_unit_leaves_it(folder: Path) -> None:
    """A12, A59: as an ordinary user under its filter and without new code, kept in full; works, reports, stops."""
    state = folder / "state"
    state.joinpath("will.document").write_bytes(b"everything to the cat")
    command = lacking([COMMAND, "run", "service:app"], refused(UNIT.read_text(encoding="utf-8")))
    command = ordinary(without_new_code(command), state)
    with ServiceManager(f"@{folder.name}") as manager:
        environment = {"NOTIFY_SOCKET": manager.address, "STATE_DIRECTORY": str(state)}
        with Running("", folder=folder, environment=environment, command=tuple(command)) as service:
            ready = manager.wait(lambda told: "READY" in told)
            service.wait_for("ring.sealed", epoch=1)  # behind what was said of each process
            assert {each.level for each in service.lines("process.locked") if each.member != "counter"} == {"full"}
            service.interrupt(signal.SIGHUP)
            reloading = manager.wait(lambda told: "RELOADING" in told, ready)
            manager.wait(lambda told: "READY" in told, reloading)
            service.output.wait(lambda said: said == "sealed will.document", PATIENCE)
            assert service.stop() == 143
            manager.wait(lambda told: "STOPPING" in told)
            assert service.said() == []
    assert re.fullmatch(r"[0-9a-f]{64}\n", state.joinpath("will.seal").read_text("ascii"))
