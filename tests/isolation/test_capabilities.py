"""What a process has given up is gone: for it, for its threads, for what it executes. As root and as anybody."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.enclave.children import in_child
from trollbridge.actors.isolation import capabilities, kernel
from trollbridge.messages.posture import Evidence, Mechanism, State

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT: Final = os.geteuid() == 0
NOBODY: Final = 65534
SETS: Final = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
NONE: Final = "0" * 16
CAP_SETPCAP: Final = 8


def fields(text: str) -> dict[str, str]:
    """Return the fields of a /proc/PID/status."""
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def own() -> dict[str, str]:
    """Return the fields of this process."""
    return fields(Path("/proc/self/status").read_text(encoding="ascii"))


def executed() -> dict[str, str]:
    """Return the fields of a program that this process executes."""
    shown = subprocess.run(["/bin/cat", "/proc/self/status"], capture_output=True, text=True, check=True)
    return fields(shown.stdout)


def allowed(act: Callable[[], object]) -> bool:
    """Return whether the kernel allows `act`."""
    try:
        act()
    except PermissionError:
        return False
    return True


def test_no_capability_is_left_and_none_comes_back_by_executing() -> None:
    """Every set of the process and of its programs is empty; only an ordinary user's bounding set cannot be emptied."""
    bound = NONE if ROOT else own()["CapBnd"]

    def dropped() -> str:
        capabilities.drop()
        after, then = own(), executed()
        return str([after[each] for each in SETS] + [then[each] for each in SETS] + [after["Uid"] == then["Uid"]])

    assert in_child(dropped) == str([NONE, NONE, NONE, bound, NONE] * 2 + [True])


def test_what_root_may_do_ends_with_its_capabilities(tmp_path: Path) -> None:
    """Root gives a file away before, and not after; anybody else may not in either case."""
    file = tmp_path / "file"
    file.write_text("text")

    def tried() -> str:
        before = allowed(lambda: os.chown(file, NOBODY - 1, NOBODY - 1))
        capabilities.drop()
        return str([before, allowed(lambda: os.chown(file, 1, 1)), allowed(lambda: os.setuid(1))])

    assert in_child(tried) == str([ROOT, False, False])


def test_the_evidence_is_what_the_kernel_shows() -> None:
    """A12: it names the sets that are empty, and says why a bounding set that is not empty gives nothing."""
    rest = "CapBnd too" if ROOT else f"CapBnd {own()['CapBnd']} gives none, since NoNewPrivs is 1"
    text = f"CapEff, CapPrm, CapInh, CapAmb are 0 in /proc/self/task/*/status, {rest}"
    assert in_child(lambda: str(capabilities.drop())) == str(Evidence(Mechanism.NO_CAPABILITIES, State.IN_FORCE, text))


def test_root_that_may_not_empty_the_bounding_set_drops_the_rest(tmp_path: Path) -> None:
    """As in a container that lacks CAP_SETPCAP: nothing is left, and executing gives nothing back."""
    file = tmp_path / "file"
    file.write_text("text")

    def dropped() -> str:
        if ROOT:
            all_but = ~(1 << CAP_SETPCAP) & int(own()["CapPrm"], 16)
            low, high = all_but & 0xFFFF_FFFF, all_but >> 32
            sets = struct.pack("=6I", low, low, 0, high, high, 0)
            kernel.syscall("capset", struct.pack("=Ii", 0x20080522, 0), sets)
        evidence = capabilities.drop()
        after, then = own(), executed()
        held = [after[each] for each in ("CapPrm", "CapEff")] + [then[each] for each in ("CapPrm", "CapEff")]
        return str([evidence.state.value, evidence.evidence.endswith("since NoNewPrivs is 1"), *held])

    assert in_child(dropped) == str(["in force", True, NONE, NONE, NONE, NONE])


def test_a_thread_that_ran_before_is_not_forgotten() -> None:
    """Capabilities and no_new_privs belong to a thread: one that keeps them makes the evidence say so."""

    def threaded() -> str:
        over = threading.Event()
        thread = threading.Thread(target=over.wait)
        thread.start()
        found = capabilities.no_new_privileges(), capabilities.drop()
        over.set()
        thread.join()
        return str([each.state.value for each in found] + [found[0].evidence, bool(found[1].remedy)])

    privileges = "NoNewPrivs: 0, 1 in /proc/self/task/*/status"
    assert in_child(threaded) == str(["missing", "missing" if ROOT else "in force", privileges, ROOT])


def test_no_program_gives_new_privileges() -> None:
    """A program with the set-user-ID bit of root runs as who started it; without no_new_privs it would run as root.

    Only root can make such a program: an ordinary user's test sees the kernel's word alone.
    """
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        program = Path(folder) / "id"
        shutil.copy(shutil.which("id") or "/usr/bin/id", program)
        program.chmod(0o4755)
        honoured = ROOT and not os.statvfs(folder).f_flag & os.ST_NOSUID

        def started(*, kept: bool) -> str:
            if ROOT:
                os.setresgid(NOBODY, NOBODY, NOBODY)
                os.setresuid(NOBODY, NOBODY, NOBODY)
            evidence = str(capabilities.no_new_privileges()) if kept else ""
            shown = subprocess.run([program, "-u"], capture_output=True, text=True, check=True)
            return f"{shown.stdout.strip()} {evidence}"

        user = NOBODY if ROOT else os.geteuid()
        text = "NoNewPrivs: 1 in /proc/self/task/*/status"
        proof = Evidence(Mechanism.NO_NEW_PRIVILEGES, State.IN_FORCE, text)
        assert in_child(lambda: started(kept=True)) == f"{user} {proof}"
        assert in_child(lambda: started(kept=False)) == f"{0 if honoured else user} "


def test_a_process_that_is_not_dumpable_is_not_looked_into() -> None:
    """K3: another process of the same user opens its memory before, and not after; root does so in any case."""

    def look(pid: int) -> bool:
        return allowed(lambda: Path(f"/proc/{pid}/mem").open("rb").close())

    def watched() -> str:
        parent = os.getpid()
        reader, writer = os.pipe()
        answer, answered = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(writer)
            while os.read(reader, 1):
                os.write(answered, b"1" if look(parent) else b"0")
            os._exit(0)
        os.close(reader)
        os.write(writer, b"?")
        before = os.read(answer, 1)
        evidence = capabilities.non_dumpable()
        os.write(writer, b"?")
        after = os.read(answer, 1)
        os.close(writer)
        os.waitpid(pid, 0)
        return f"{before.decode()}{after.decode()} {evidence}"

    proof = Evidence(Mechanism.NON_DUMPABLE, State.IN_FORCE, "PR_GET_DUMPABLE: 0")
    assert in_child(watched) == f"1{int(ROOT)} {proof}"
