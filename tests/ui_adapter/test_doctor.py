"""The doctor: what it says of this machine, of one that lacks something, of another system, and of a declaration."""

from __future__ import annotations

import ctypes
import errno
import io
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tests.harness.lacking import lacking, old_landlock
from tests.ui_adapter.commands import PATIENCE, Ended, environment, run
from trollbridge.actors import exits
from trollbridge.actors.app import App
from trollbridge.actors.isolation import lock
from trollbridge.messages.posture import NEEDED, Level, State
from trollbridge.messages.sandbox import Sandbox
from trollbridge.ui_adapter import doctor_keychain, doctor_machine, doctor_paths, doctor_report, doctor_scopes
from trollbridge.ui_adapter.doctor import FORMAT, Found, Kept, Report
from trollbridge.ui_adapter.doctor_machine import Fact, Verdict
from trollbridge.ui_adapter.wrapping import PIPE

if TYPE_CHECKING:
    from collections.abc import Sequence

ROLES = {"supervisor", "broker", "ui", "enclave", "extension"}
FACTS = [
    *("kernel", "landlock", "seccomp", "secret_memory", "memfd_noexec", "memlock", "swap", "hibernation"),
    *("core_pattern", "ptrace_scope", "user_namespaces", "hidepid", "keychain"),
]


def _report(ended: Ended) -> Report:
    return msgspec.json.decode(ended.output, type=Report, strict=True)


def _without(refused: dict[str, int]) -> Sequence[str]:
    return lacking([], refused)


def test_the_report_is_measured_on_every_kind_of_process() -> None:
    """Five processes of a real application, each mechanism that `full` needs, one object with stable keys (A12)."""
    ended = run("doctor", "--json")
    assert ended.output.count("\n") == 1
    assert ended.log == []
    keys: dict[str, Any] = msgspec.json.decode(ended.output)
    assert list(keys) == ["format", "platform", "level", "failure", "processes", "machine"]
    report = _report(ended)
    assert (report.format, report.failure, {each.role for each in report.processes}) == (FORMAT, "", ROLES)
    assert [each.name for each in report.machine] == FACTS
    for each in report.processes:
        if each.role != "supervisor":
            assert {found.mechanism for found in each.evidence} >= {needed.value for needed in NEEDED}, each.role
            assert each.level == Level.FULL
    assert (report.level, ended.code) == (Level.FULL, 0)


def test_people_read_words_and_a_pipe_gets_no_colour() -> None:
    """Whatever a symbol says, a word beside it says too."""
    ended = run("doctor")
    assert (ended.code, ended.said, ended.log) == (0, [], [])
    assert ended.output.splitlines()[0].endswith("are kept: full")
    assert "\x1b" not in ended.output
    for line in ended.output.splitlines():
        symbol = line.strip()[:1]
        if symbol in "✓✗!·" and line.startswith("  "):
            assert line.split()[1] in {"in", "missing", "weaker", "not", "by", *Verdict}, line
        assert len(line) <= PIPE or len(line.split()) < 4, line  # a path alone may be longer
    own = ended.output.partition("\nsupervisor ")[2].partition("\n\n")[0]
    assert re.search(r"^  · by design +Landlock +not laid on", own, re.MULTILINE)
    assert "!" not in own
    words = " ".join(ended.output.split())
    assert re.search(r"ABI \d+: reads \d+ folders and files of code \(--json has them\), nothing else", words)


@pytest.mark.parametrize(
    ("refused", "lost", "level"),
    [
        ({"landlock_create_ruleset": errno.EOPNOTSUPP}, "Landlock", Level.PARTIAL),
        ({"landlock_create_ruleset": errno.ENOSYS}, "Landlock", Level.PARTIAL),
    ],
)
def test_a_machine_without_a_mechanism_gets_less_and_is_told_what_to_change(
    refused: dict[str, int], lost: str, level: Level
) -> None:
    """The doctor names what is missing, in both forms, and ends with 1 (R9)."""
    prefix = _without(refused)
    ended = run("doctor", "--json", prefix=prefix)
    report = _report(ended)
    assert (ended.code, report.level, report.failure) == (1, level, "")
    (enclave,) = [each for each in report.processes if each.role == "enclave"]
    missing = [each for each in enclave.evidence if each.mechanism == lost]
    assert [each.state for each in missing] == [State.MISSING]
    shown = run("doctor", prefix=prefix)
    assert shown.code == 1
    change = " ".join(shown.output.partition("What to change")[2].split())
    assert f"{lost}: " in change
    assert missing[0].remedy in change
    assert f"least='{level}'" in change


def test_an_older_landlock_is_enough_for_an_enclave_that_reaches_nothing() -> None:
    """What a later version adds is named with its kernel; the level does not suffer."""
    ended = run("doctor", "--json", prefix=old_landlock([], 3), afterwards=PATIENCE)
    (fact,) = [each for each in _report(ended).machine if each.name == "landlock"]
    assert fact.found.startswith("ABI 3; later kernels add TCP ports (from Linux 6.7)")
    assert (ended.code, fact.verdict) == (0, Verdict.GOOD)


def test_a_system_that_cannot_start_the_application_is_reported_and_not_guessed() -> None:
    """Without another descriptor nothing can be measured: the level is the least, and the reason is told (R7)."""
    ended = run("doctor", "--json", prefix=["/bin/sh", "-c", 'ulimit -n 12; exec "$@"', "sh"])
    report = _report(ended)
    assert (ended.code, report.level) == (1, Level.PROCESS_ONLY)
    assert report.failure.startswith("the application ")
    assert "Too many open files" in f"{report.failure} {ended.said}"


# Another system.

DARWIN = """
import sys
sys.platform = "darwin"
import os, select, signal
for module, names in ((os, ("pidfd_open", "memfd_create", "waitid", "P_PIDFD")), (select, ("epoll", "EPOLLIN"))):
    for name in names:
        delattr(module, name)
del signal.pidfd_send_signal
sys.modules["resource"] = sys.modules["trollbridge.actors.isolation.kernel"] = None
from trollbridge.ui_adapter import cli
cli.main()
"""


def _elsewhere(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", "-c", DARWIN, *arguments],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=PATIENCE,
        check=False,
    )


def test_another_system_is_told_the_truth() -> None:
    """The honest level is `process-only`, and nothing that only Linux has is even imported (R9)."""
    done = _elsewhere("doctor", "--json")
    report = msgspec.json.decode(done.stdout, type=Report)
    assert (done.returncode, report.platform, report.level, report.processes) == (1, "darwin", Level.PROCESS_ONLY, ())
    assert "refuse to start here" in report.failure
    assert done.stderr == ""
    shown = _elsewhere("doctor")
    assert (shown.returncode, shown.stderr) == (1, "")
    assert "are kept: process-only" in shown.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        *(("run", "declared:right"), ("demo",), ("doctor", "declared:right"), ("lint", "declared:right")),
        ("explain", "declared:right", "asker", "clerk.copy"),
        *(("attack", "declared:right"), ("attack", "--list"), ("attack",)),
    ],
)
def test_an_application_does_not_start_on_another_system(arguments: tuple[str, ...]) -> None:
    """One sentence and the code of an isolation that is not there; no traceback, and no module was loaded (R9)."""
    done = _elsewhere(*arguments)
    sentence = "trollbridge: only Linux can isolate the processes of an application, and this is darwin\n"
    assert (done.returncode, done.stdout, done.stderr) == (exits.NOT_ISOLATED, "", sentence)


# The machine.


@pytest.mark.parametrize(
    ("fact", "verdict", "found"),
    [
        (doctor_machine.swap({}), Verdict.GOOD, "none"),
        (doctor_machine.swap({"/dev/sda2": ""}), Verdict.WEAK, "/dev/sda2 (encryption unknown)"),
        (doctor_machine.swap({"/dev/dm-1": "CRYPT-LUKS2-ab"}), Verdict.GOOD, "/dev/dm-1 (encrypted)"),
        (doctor_machine.swap({"/dev/zram0": ""}), Verdict.GOOD, "/dev/zram0 (in memory)"),
        (doctor_machine.swap({"/swap file": "", "/dev/zram0": ""}), Verdict.WEAK, "/swap file (encryption unknown), "),
        (doctor_machine.hibernation("freeze mem disk", "[platform] shutdown"), Verdict.WEAK, "possible: [platform]"),
        (doctor_machine.hibernation("freeze mem disk", "[disabled]"), Verdict.GOOD, "not possible"),
        (doctor_machine.hibernation("", ""), Verdict.GOOD, "not possible"),
        (doctor_machine.seccomp("kill_process errno allow"), Verdict.GOOD, "can kill_process, errno, allow"),
        (doctor_machine.seccomp(""), Verdict.BAD, "can nothing"),
        (doctor_machine.memfd_noexec("2"), Verdict.INFORMATION, "vm.memfd_noexec = 2"),
        (doctor_machine.memfd_noexec(""), Verdict.GOOD, "vm.memfd_noexec = not there"),
        (doctor_machine.memlock(-1), Verdict.GOOD, "no limit"),
        (doctor_machine.memlock(8 << 20), Verdict.GOOD, "each process may lock 8192 KiB"),
        (doctor_machine.core_pattern("|/usr/bin/apport", "2"), Verdict.INFORMATION, "core files go to |/usr/bin/ap"),
        (doctor_machine.core_pattern("core", "1"), Verdict.WEAK, "fs.suid_dumpable = 1"),
        (doctor_machine.ptrace_scope("1"), Verdict.INFORMATION, "1: only descendants may be traced"),
        (doctor_machine.ptrace_scope(""), Verdict.INFORMATION, "none: no Yama"),
        (doctor_machine.user_namespaces("96365", ""), Verdict.INFORMATION, "ordinary users may make them"),
        (doctor_machine.user_namespaces("96365", "0"), Verdict.INFORMATION, "ordinary users may not make them"),
        (doctor_machine.hidepid("proc /proc proc rw,hidepid=invisible 0 0"), Verdict.INFORMATION, "hidepid=invisible"),
        (doctor_machine.hidepid("proc /proc proc rw,relatime 0 0"), Verdict.INFORMATION, "off"),
    ],
)
def test_a_fact_is_told_with_what_it_means(fact: Fact, verdict: Verdict, found: str) -> None:
    """Each setting, from what the kernel says of it; whatever is weak comes with what to change (K3, A37)."""
    assert fact.verdict is verdict
    assert fact.found.startswith(found)
    assert bool(fact.remedy) is (verdict in (Verdict.WEAK, Verdict.BAD))


def test_a_low_limit_for_locked_memory_is_weak_for_an_ordinary_user_only() -> None:
    """Root is not bound by it."""
    fact = doctor_machine.memlock(0)
    assert fact.verdict is (Verdict.GOOD if os.geteuid() == 0 else Verdict.WEAK)
    assert fact.found.startswith("each process may lock 0 KiB")


def test_the_facts_are_the_kernels() -> None:
    """The numbers that are shown, asked for by another way: libc's own calls."""
    facts = {each.name: each for each in doctor_machine.facts()}
    abi = ctypes.CDLL(None).syscall(444, None, 0, 1)  # landlock_create_ruleset, the same number everywhere
    assert facts["landlock"].found.partition(";")[0] == f"ABI {abi}"
    assert os.uname().release in facts["kernel"].found
    swapped = [line.split()[0] for line in Path("/proc/swaps").read_text(encoding="ascii").splitlines()[1:]]
    assert all(name in facts["swap"].found for name in swapped) if swapped else facts["swap"].found == "none"


# The keychain.


def test_no_keychain_without_a_bus(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session without D-Bus has none, and is told so (A47)."""
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    assert doctor_keychain.fact(PATIENCE).found == "none: no D-Bus session"


def test_a_keychain_that_does_not_answer_is_left_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A bus that takes the connection and says nothing, as one does whose prompt nobody sees: bounded (A47)."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as bus:
        bus.bind(str(tmp_path / "bus"))
        bus.listen()
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", f"unix:path={tmp_path}/bus")
        assert doctor_keychain.fact(1.0).found == "no answer within 1 seconds"


@pytest.mark.parametrize(
    ("output", "errors", "verdict", "found"),
    [
        ("reachable\n", "", Verdict.GOOD, "reachable: Secret Service, unlocked"),
        ("locked\n", "", Verdict.WEAK, "locked: Secret Service"),
        ("empty\n", "", Verdict.WEAK, "reachable: Secret Service, without a default collection"),
        ("plaintext\nreachable\n", "", Verdict.WEAK, "plaintext backend installed (keyrings.alt): refused"),
        ("plaintext\n", "bus KeyError: x\n", Verdict.WEAK, "plaintext backend installed (keyrings.alt): refused"),
        ("", "bus KeyError: DBUS\n", Verdict.WEAK, "none: no D-Bus session"),
        ("", "service\n", Verdict.WEAK, "none: no Secret Service on the D-Bus session"),
        (
            "",
            "package ModuleNotFoundError: No module named 'keyring'\n",
            Verdict.WEAK,
            "package keyring not importable",
        ),
        ("", "", Verdict.WEAK, "package keyring not importable: no reason given"),
    ],
)
def test_every_state_of_a_keychain_has_its_words(output: str, errors: str, verdict: Verdict, found: str) -> None:
    """What the process says, as people read it; a plaintext back end is named whatever else there is (A47)."""
    fact = doctor_keychain.told(output, errors)
    assert (fact.name, fact.verdict) == ("keychain", verdict)
    assert fact.found.startswith(found)


# The report.


def test_the_advice_names_each_cause_once() -> None:
    """Only what the level needs, only of enclaves, and how to accept less."""
    lacking_one = Found("Landlock", State.MISSING, "no Landlock", "add landlock to lsm=")
    harmless = Found("secret memory", State.MISSING, "ordinary memory", "raise the limit")
    processes = tuple(
        Kept(f"{role}{number}", role, number, Level.PARTIAL, (lacking_one, harmless))
        for number, role in enumerate(("supervisor", "enclave", "enclave"), 7)
    )
    report = Report(FORMAT, "Linux", Level.PARTIAL, "", processes, (Fact("landlock", Verdict.GOOD, "ABI 7"),))
    assert doctor_report.advice(report) == (
        "Landlock: no Landlock; add landlock to lsm=",
        "or accept less, with least='partial' in App(…)",
    )
    text = _shown(report)
    assert text.startswith("! Enclaves, broker and extensions on Linux are kept: partial\n")
    assert "supervisor7 (supervisor, PID 7): partial\n  · by design  Landlock       no Landlock: add landlock" in text
    assert "enclave8 (enclave, PID 8): partial\n  ✗ missing  Landlock" in text


def _shown(report: Report) -> str:
    stream = io.StringIO()
    doctor_report.show(report, stream)
    return stream.getvalue()


def test_what_is_meant_to_be_missing_is_no_warning() -> None:
    """A supervisor, and a UI that declares no sandbox; what else they lack is told as a lack."""
    undeclared = lock._UNDECLARED  # pyright: ignore[reportPrivateUsage]  # the very words that a UI reports
    own = (
        Found("Landlock", State.MISSING, "not laid on", "they would inherit it"),
        Found("non-dumpable", State.MISSING, "PR_GET_DUMPABLE: 1", "prctl(2) was refused"),
        Found("execute-only start", State.MISSING, "it runs from a file that may be read", "start it otherwise"),
    )
    ui = (
        Found("seccomp", State.MISSING, "not asked for", undeclared),
        Found("Landlock", State.MISSING, "no Landlock", "add landlock to lsm="),
    )
    processes = (
        Kept("supervisor", "supervisor", 7, Level.PROCESS_ONLY, own),
        Kept("ui", "ui", 8, Level.PROCESS_ONLY, ui),
    )
    lines = _shown(Report(FORMAT, "Linux", Level.FULL, "", processes, ())).splitlines()
    marks = [line.split()[0] for line in lines[1:] if line.startswith("  ") and line.strip()[0] in "✓✗!·"]
    assert marks == ["·", "!", "·", "·", "✗"]
    assert undeclared.startswith(doctor_report.UNDECLARED)
    assert "it runs from a file that may be read: the doctor has no secret" in " ".join(lines)
    assert "start it otherwise" not in " ".join(lines)


def test_a_long_list_of_folders_is_a_number_for_people() -> None:
    """A few are named; nothing is taken from the rest of the evidence, and JSON has them all."""
    few, many = ", ".join(f"/lib/{number}" for number in range(4)), ", ".join(f"/lib/{number}" for number in range(14))
    texts = [f"ABI 7: reads {each}, writes /a, nothing else; opening / was refused" for each in (few, many)]
    for text, told in zip(texts, (few, "14 folders and files of code (--json has them)"), strict=True):
        kept = Kept("ui", "ui", 8, Level.FULL, (Found("Landlock", State.IN_FORCE, text, ""),))
        words = " ".join(_shown(Report(FORMAT, "Linux", Level.FULL, "", (kept,), ())).split())
        assert f"ABI 7: reads {told}, writes /a, nothing else; opening / was refused" in words


# A declaration.


def test_a_declaration_is_shown_filled_in_and_nothing_is_started(tmp_path: Path) -> None:
    """Settings stand in the paths, the least level is named, an unconfined UI is called so (A12)."""
    folder = tmp_path / "notes"
    ended = run("doctor", "declared:create", more={"VAULT": f"{folder}/test.vault"})
    assert (ended.code, ended.said, ended.log) == (0, [], [])
    assert f"vault: enclave, runs at least full\n  write  {folder}/\n" in ended.output
    assert "keeper: ui, runs at least process-only\n  reaches  everything that its user reaches\n" in ended.output
    assert not folder.exists()


def test_a_scope_that_is_too_wide_is_warned_of() -> None:
    """The vault beside everything else in /etc: the exit code tells, and the JSON."""
    ended = run("doctor", "declared:create", "--json", more={"VAULT": "/etc/test.vault"})
    found: list[dict[str, Any]] = msgspec.json.decode(ended.output)
    assert [(each["member"], each["write"], each["warnings"]) for each in found] == [
        ("vault", ["/etc/"], ["write=['/etc/'] is a folder that everybody's things lie in"]),
        ("keeper", [], []),
    ]
    assert ended.code == 1


@pytest.mark.parametrize(
    ("reference", "text"),
    [
        ("declared:nothing", "the module declared has no nothing"),
        ("declared:no_enclave_module", "nowhere:Clerk cannot be loaded"),
    ],
)
def test_a_declaration_that_cannot_be_asked_is_told_in_one_line(reference: str, text: str) -> None:
    """As `run` tells it, with the same code."""
    ended = run("doctor", reference)
    assert (ended.code, len(ended.said)) == (exits.DECLARATION, 1)
    assert text in ended.said[0]


def test_what_looks_too_wide_is_named_with_its_reason(tmp_path: Path) -> None:
    """The whole home, what holds its keys, a shared folder, any port, programs; a folder of its own is fine."""
    home = tmp_path / "ann"
    for name in (".ssh", "notes"):
        home.joinpath(name).mkdir(parents=True)
    tmp_path.joinpath("link").symlink_to(home / ".ssh")
    wide = Sandbox(
        read=(str(home), str(tmp_path), str(tmp_path / "link"), "/etc"),
        write=(str(home / "notes"), str(home / ".ssh")),
        exec=("/bin/true",),
        network=("tcp", "tcp:443", "udp"),
    )
    assert doctor_scopes.warnings(wide, str(home)) == (
        f"read=['{home}'] is the whole home folder",
        f"read=['{tmp_path}'] reaches ~/.ssh",
        f"read=['{tmp_path}/link'] reaches ~/.ssh",
        "read=['/etc'] is a folder that everybody's things lie in",
        f"write=['{home}/.ssh'] reaches ~/.ssh",
        "exec=[…] leaves the weaker list of system calls, so the level is partial at best",
        "network=['tcp'] reaches every port; write tcp:PORT",
    )
    assert doctor_scopes.warnings(Sandbox(write=(str(home / "notes"),), network=("tcp:443",)), str(home)) == ()


def test_a_path_that_is_not_there_is_a_fault_and_ends_with_1(tmp_path: Path) -> None:
    """The vault's folder would have to be made in a file: the exit code tells, people and programs read why."""
    tmp_path.joinpath("file").touch()
    more = {"VAULT": f"{tmp_path}/file/vaults/test.vault"}
    ended = run("doctor", "declared:create", "--json", more=more)
    found: list[dict[str, Any]] = msgspec.json.decode(ended.output)
    told = f"write=['{tmp_path}/file/vaults/'] does not exist, and this user cannot make it in {tmp_path}/file"
    assert (ended.code, [each["faults"] for each in found]) == (1, [[told], []])
    shown = run("doctor", "declared:create", more=more)
    assert shown.code == 1
    assert f"✗ {told}" in " ".join(shown.output.split())


def test_what_is_missing_or_closed_is_named_with_its_reason(tmp_path: Path) -> None:
    """Each kind of path: there, missing, a link to nothing, to be made, closed; root may read all."""
    for name in ("closed", "open"):
        tmp_path.joinpath(name).mkdir()
    tmp_path.joinpath("link").symlink_to(tmp_path / "nowhere")
    tmp_path.joinpath("file").touch(0o600)
    tmp_path.joinpath("locked").touch()
    tmp_path.joinpath("locked").chmod(0)
    tmp_path.joinpath("closed").chmod(0)
    here = str(tmp_path)
    sandbox = Sandbox(
        read=(f"{here}/open", f"{here}/gone", f"{here}/link", f"{here}/closed", f"{here}/locked"),
        write=(f"{here}/file", f"{here}/new/deep/", f"{here}/new", f"{here}/closed/new/", f"{here}/locked"),
        exec=("/bin/sh", f"{here}/file", f"{here}/gone"),
    )
    closed = [
        f"read=['{here}/closed'] may not be read by this user",
        f"read=['{here}/locked'] may not be read by this user",
    ]
    shut = [
        f"write=['{here}/closed/new/'] does not exist, and this user cannot make it in {here}/closed",
        f"write=['{here}/locked'] may not be changed by this user",
    ]
    root = os.geteuid() == 0
    assert doctor_paths.faults(sandbox) == (
        f"read=['{here}/gone'] does not exist",
        f"read=['{here}/link'] is a symbolic link to nothing",
        *([] if root else closed),
        f"write=['{here}/new'] does not exist: make it, or end it with / to have it made as a folder",
        *([] if root else shut),
        f"exec=['{here}/file']: is not an executable file",
        f"exec=['{here}/gone']: cannot be executed: No such file or directory",
    )
    tmp_path.joinpath("closed").chmod(0o700)
    assert not tmp_path.joinpath("new").exists()


def test_a_scope_that_holds_the_applications_own_code_is_warned_of(tmp_path: Path) -> None:
    """A package, a module, a folder of modules, through a link too; data beside them is fine; nothing is run."""
    for folder in ("code/parts", "code/data", "more", "else"):
        tmp_path.joinpath(folder).mkdir(parents=True)
    bad = "raise SystemExit(9)"
    for file in ("code/single.py", "code/parts/__init__.py", "code/parts/clerk.py"):
        tmp_path.joinpath(file).write_text(bad, encoding="utf-8")
    tmp_path.joinpath("link").symlink_to(tmp_path / "code")
    app = App(ui="single:Ui", enclaves=["parts.clerk:Clerk"])
    code = doctor_paths.code_of(app, [str(tmp_path / "code"), str(tmp_path / "more"), str(tmp_path / "none")])
    end = "who breaks in could change what runs at the next start"
    paths = [f"{tmp_path}/{each}" for each in ("code/parts/", "link", "more", "code/single.py", "code/data/", "else")]
    assert doctor_paths.over_code(paths, code) == (
        f"write=['{paths[0]}'] holds the code of parts.clerk: {end}",
        f"write=['{paths[1]}'] holds the code of parts.clerk: {end}",
        f"write=['{paths[2]}'] holds a folder that modules are imported from: {end}",
        f"write=['{paths[3]}'] holds the code of single: {end}",
    )


def test_the_module_of_the_declaration_counts_as_code(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whoever can change the declaration decides what runs."""
    module = ModuleType("declaration")
    module.__file__ = str(tmp_path / "declaration.py")
    module.app = App(ui="single:Ui")  # type: ignore[attr-defined]  # as a module has it
    monkeypatch.setitem(sys.modules, "declaration", module)
    code = doctor_paths.code_of(module.app, [])
    assert code == {os.path.realpath(module.__file__): "the declaration, declaration"}
