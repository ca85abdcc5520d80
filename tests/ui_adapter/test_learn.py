"""Learn mode, on real applications: what it proposes is enough and not too much, and it never touches a vault."""

from __future__ import annotations

import errno
import os
import re
import signal
import socket
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.conftest import REPOSITORY
from tests.harness.lacking import lacking
from tests.ui_adapter.commands import Ended, run, talk
from trollbridge.actors import exits
from trollbridge.actors.app import Child
from trollbridge.actors.isolation.told import Act, Told
from trollbridge.messages.ids import Role
from trollbridge.messages.sandbox import NOTHING, Sandbox
from trollbridge.ui_adapter.learn_proposal import Member, Proposal, propose
from trollbridge.ui_adapter.learn_report import BANNER, HEAD, LOCKED, OVER, declaration, lines

if TYPE_CHECKING:
    from collections.abc import Generator

ENCLAVE: Final = """
import ctypes, os, socket, subprocess, threading
from trollbridge.actors.app import App, Child
from trollbridge.actors.handlers import handler
from trollbridge.enclave import EnclaveActor
from trollbridge.messages.sandbox import Sandbox
from trollbridge.ui_adapter import UiActor

libc = ctypes.CDLL(None)


class Reacher(EnclaveActor):
    sandbox = {sandbox}

    def __init__(self, place: str, port: str) -> None:
        super().__init__()
        self.place, self.port = place, int(port)

    @handler
    def opens(self) -> str:
        with open(f"{{self.place}}/in/a.txt") as file:
            return file.read()

    @handler
    def opens_in_c(self) -> int:
        return libc.close(libc.open(f"{{self.place}}/in/b.txt".encode(), os.O_RDONLY))

    @handler
    def writes(self) -> str:
        with open(f"{{self.place}}/out/new", "w") as file:
            file.write("new")
        os.rename(f"{{self.place}}/out/new", f"{{self.place}}/out/c.txt")
        return "written"

    @handler
    def connects(self) -> str:
        with socket.socket() as end:
            end.connect(("127.0.0.1", self.port))
            return end.recv(9).decode()

    @handler
    def resolves(self) -> int:
        return len(socket.getaddrinfo("127.0.0.1", 9, type=socket.SOCK_STREAM))

    @handler
    def executes(self) -> int:
        return os.waitpid(os.posix_spawn("/bin/cat", ["cat", f"{{self.place}}/in/a.txt"], {{}}), 0)[1]

    @handler
    def pipes(self) -> str:
        done = subprocess.run(["/bin/cat", f"{{self.place}}/in/a.txt"], capture_output=True, text=True, check=True)
        return done.stdout

    @handler
    def threads(self) -> str:
        found = []
        thread = threading.Thread(target=lambda: found.append("run"))
        thread.start()
        thread.join()
        return found[0]


class Asker(UiActor):
    def main(self, bridge) -> int:
        for name in {acts}:
            try:
                print(name, getattr(bridge.reacher, name)().get(timeout=20))
            except Exception as error:
                print(name, type(error).__name__)
        return 0


app = App(
    ui=Asker,
    enclaves=[Child(Reacher, least={least}, settings={{"place": {place}, "port": {port}}})],
    grants={{Asker: [f"reacher.{{name}}" for name in {acts}]}},
)
"""
ACTS: Final = ("opens", "opens_in_c", "writes", "connects", "executes", "pipes", "threads")
WORKED: Final = "opens a\nopens_in_c 0\nwrites written\nconnects welcome\nexecutes 0\npipes a\nthreads run\n"


@pytest.fixture
def port() -> Generator[str]:
    """Give the port of a server on this machine that welcomes whoever connects."""
    import threading  # noqa: PLC0415  # only this fixture

    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    end, _ = server.accept()
                except OSError:
                    return
                with end:
                    end.sendall(b"welcome")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield str(server.getsockname()[1])
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def _application(folder: Path, port: str, sandbox: str = "Sandbox()", least: str = "full", acts: object = ACTS) -> None:
    for name in ("in", "out") if sandbox == "Sandbox()" else ("in",):
        folder.joinpath(name).mkdir(exist_ok=True)
    for name in ("a", "b"):
        folder.joinpath("in", f"{name}.txt").write_text(name, encoding="ascii")
    text = ENCLAVE.format(sandbox=sandbox, least=repr(least), place=repr(str(folder)), port=repr(port), acts=acts)
    folder.joinpath("reach.py").write_text(text, encoding="utf-8")


def _proposed(ended: Ended, member: str, what: str = r"    sandbox = (Sandbox\((?:\n.*?\n    )?\))$") -> str:
    """Return the proposal as it stands in the output."""
    part = ended.output.partition(f"\n{member} (")[2]
    found = re.search(what, part, re.MULTILINE | re.DOTALL)
    assert found, ended
    return found[1]


def test_what_is_proposed_lets_the_application_run_locked(tmp_path: Path, port: str) -> None:
    """The whole way: nothing declared, learnt, pasted, and then locked without a single denial."""
    _application(tmp_path, port)
    learnt = run("run", "--learn", "reach:app", folder=tmp_path)
    assert learnt.code == 0
    assert learnt.output.startswith(WORKED)
    proposed = _proposed(learnt, "reacher")
    sandbox: Sandbox = eval(proposed, {"Sandbox": Sandbox})  # noqa: S307  # what was printed is to be pasted
    home = str(Path("~").expanduser())
    assert "{place}/in" in sandbox.read
    assert (sandbox.write, sandbox.network, sandbox.threads) == (("{place}/out/",), (f"tcp:{port}",), True)
    assert [Path(each).name for each in sandbox.exec] == ["cat"]
    assert not {"/", "/proc", "/etc", home, "~", str(tmp_path), "{place}"} & {*sandbox.read, *sandbox.write}
    assert "write least='partial' too" in learnt.output
    assert f"\n{HEAD}\n" in learnt.output
    tmp_path.joinpath("out", "c.txt").unlink()
    tmp_path.joinpath("out").rmdir()
    _application(tmp_path, port, sandbox=proposed, least="partial")
    locked = run("run", "reach:app", folder=tmp_path)
    assert (locked.code, locked.output, locked.said) == (0, WORKED, [])
    assert [each.level for each in locked.log if each.event == "process.locked" and each.member == "reacher"] == [
        "partial"
    ]
    assert [each for each in locked.log if each.event == "sandbox.denied"] == []


def test_without_it_each_call_gives_a_clear_message(tmp_path: Path, port: str) -> None:
    """The other half: the member, the call and the line to add stand in the log; C code gets the error alone."""
    _application(tmp_path, port)
    ended = run("run", "reach:app", folder=tmp_path)
    refused = "".join(f"{name} HandlerFailed\n" if name != "opens_in_c" else f"{name} -1\n" for name in ACTS)
    assert (ended.code, ended.output) == (0, refused)
    denied = {each.why: each.detail for each in ended.log if each.event == "sandbox.denied"}
    assert set(denied) >= set(ACTS) - {"opens_in_c", "pipes"}
    assert f"add read=['{tmp_path}/in/a.txt'] to its Sandbox" in denied["opens"]
    assert f"add write=['{tmp_path}/out/'] to its Sandbox" in denied["writes"]
    assert "add network=['tcp'] to its Sandbox" in denied["connects"]
    assert "add exec=['/bin/cat'] to its Sandbox and least=" in denied["executes"]
    assert "add threads=True to its Sandbox" in denied["threads"]


def test_it_is_loud_and_the_level_says_what_it_is(tmp_path: Path, port: str) -> None:
    """Before the first process, in each line about how a member is kept, and at the end; a silent log changes none."""
    _application(tmp_path, port, acts=("threads",))
    loud = run("run", "--learn", "reach:app", folder=tmp_path)
    assert loud.said == [BANNER.rstrip(), OVER.rstrip()]
    levels = {each.member: each.level for each in loud.log if each.event == "process.locked"}
    assert levels == {"broker": "full", "reacher": "process-only", "asker": "process-only"}
    assert run("run", "--learn", "--quiet", "reach:app", folder=tmp_path).said == [BANNER.rstrip(), OVER.rstrip()]
    _application(tmp_path, port, acts=())
    assert _proposed(run("run", "--learn", "reach:app", folder=tmp_path), "reacher") == "Sandbox()"


def test_what_a_class_declares_is_proposed_again(tmp_path: Path, port: str) -> None:
    """A run that exercises nothing of it does not narrow it."""
    declared = "Sandbox(read=['/etc/passwd'], write=['{place}/kept/'], network=['tcp:443'])"
    _application(tmp_path, port, sandbox=declared, acts=())
    proposed = _proposed(run("run", "--learn", "reach:app", folder=tmp_path), "reacher")
    assert eval(proposed, {"Sandbox": Sandbox}) == eval(declared, {"Sandbox": Sandbox})  # noqa: S307


def test_code_that_is_loaded_late_is_named(tmp_path: Path, port: str) -> None:
    """Looking up an address loads a module of the standard library: no path to declare, but one to load before."""
    _application(tmp_path, port, acts=("resolves",))
    learnt = run("run", "--learn", "reach:app", folder=tmp_path)
    assert learnt.output.startswith("resolves 1\n")
    assert _proposed(learnt, "reacher") == "Sandbox()"
    assert re.search(r"code is loaded after the lock: \S*encodings/idna.py", learnt.output)


_CHILD: Final = r"^    (Child\(\n.*?\n    \))$"
EXTENSION: Final = """
from trollbridge.ui_adapter import ExtensionActor


class Guest(ExtensionActor):
    def __init__(self, notes: str) -> None:
        super().__init__()
        self.notes = notes

    def main(self, bridge) -> int:
        import helper
        bridge.target.mark(helper.read(self.notes)).get(timeout=20)
        return 0
"""
HOST: Final = """
import threading
from trollbridge.actors.app import App, Child
from trollbridge.messages.sandbox import Sandbox
from trollbridge.ui_adapter import UiActor


class Asker(UiActor):
    def main(self, bridge) -> int:
        for _ in range({patience}):
            if bridge.target.count("noted").get(timeout=20):
                print("noted")
                return 0
            threading.Event().wait(0.01)
        return 3


app = App(
    ui=Asker,
    enclaves=["trollbridge.enclave.target:Target"],
    extensions=[Child("guest:Guest", sandbox={sandbox}, settings={{"notes": {notes}}})],
    grants={{Asker: ["target.count"], "guest": ["target.mark"]}},
)
"""


def _hosting(folder: Path, sandbox: str, patience: int = 3000) -> None:
    folder.joinpath("notes").mkdir(exist_ok=True)
    notes = folder / "notes" / "today"
    notes.write_text("noted", encoding="ascii")
    code = folder / "code"
    code.mkdir(exist_ok=True)
    code.joinpath("guest.py").write_text(EXTENSION, encoding="utf-8")
    code.joinpath("helper.py").write_text("def read(path):\n    return open(path).read()\n", encoding="utf-8")
    text = HOST.format(sandbox=sandbox, notes=repr(str(notes)), patience=patience)
    code.joinpath("host.py").write_text(text, encoding="utf-8")


def test_an_extension_is_learnt_from_before_its_code_is_loaded(tmp_path: Path) -> None:
    """What it imports of the application's folder counts, what is readable in any case does not; both halves (A49)."""
    code = tmp_path / "code"
    _hosting(tmp_path, "Sandbox()", patience=100)
    assert run("run", "host:app", folder=code).code == 3
    _hosting(tmp_path, "Sandbox()")
    learnt = run("run", "--learn", "host:app", folder=code)
    assert learnt.output.startswith("noted\n")
    child: Child = eval(_proposed(learnt, "guest", _CHILD), {"Sandbox": Sandbox, "Child": Child})  # noqa: S307
    assert (child.member, str(child.actor), child.settings) == ("guest", "guest:Guest", ())
    assert "# settings={…} as before: notes" in learnt.output
    assert str(tmp_path / "notes") not in learnt.output.partition("{notes}")[0], "no value of a setting is shown"
    sandbox = child.sandbox
    assert sandbox is not None
    notes, home = str(tmp_path / "notes" / "today"), str(Path("~").expanduser())
    assert "{notes}" in sandbox.read
    assert sandbox.resolved({"notes": notes}, home) == Sandbox(read=(str(code), notes))
    _hosting(tmp_path, "\n".join(declaration(sandbox)))
    locked = run("run", "host:app", folder=code)
    assert (locked.code, locked.output) == (0, "noted\n")


# Secrets.


def test_a_vault_stays_locked_and_is_not_the_real_one(tmp_path: Path) -> None:
    """A vault is made, in learn mode; the file that was declared is not even looked for (A40, R10)."""
    path = tmp_path / "vault" / "real.vault"
    ended = run("run", "--learn", "declared:create", more={"VAULT": str(path), "TMPDIR": str(tmp_path)})
    assert ended.output.startswith("open\n")
    assert list(tmp_path.iterdir()) == []
    assert f"vault (enclave, trollbridge.enclave.vault:Vault)\n  {LOCKED}\n" in ended.output
    levels = {each.member: each.level for each in ended.log if each.event == "process.locked"}
    assert levels == {"broker": "full", "vault": "full", "keeper": "process-only"}


def test_a_real_vault_is_left_as_it_is(tmp_path: Path) -> None:
    """Not opened, not counted as a failed password: the bytes are the same, and the real run finds them."""
    path = tmp_path / "test.vault"
    assert run("run", "declared:create", more={"VAULT": str(path)}).output == "open\n"
    before = path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_atime_ns
    ended = run("run", "--learn", "declared:status", more={"VAULT": str(path)})
    assert ended.output.startswith("missing\n")
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before[:2]
    assert run("run", "declared:status", more={"VAULT": str(path)}).output == "locked\n"


def test_learn_mode_keeps_away_from_the_real_keychain(tmp_path: Path) -> None:
    """No process is started that could reach it; in earnest one is, and finds no bus here (A40, R10)."""
    nowhere = {"VAULT": str(tmp_path / "vault" / "a.vault"), "DBUS_SESSION_BUS_ADDRESS": f"unix:path={tmp_path}/none"}
    learnt = run("run", "--learn", "declared:layers", more=nowhere)
    assert learnt.output.startswith("no keychain\n")
    events = {each.event: each.why for each in learnt.log if each.event.startswith("errand.")}
    assert events == {"errand.refused": "learn mode keeps away from the real keychain"}
    earnest = run("run", "declared:layers", more=nowhere)
    assert earnest.output == "no keychain\n"
    assert "errand.started" in {each.event for each in earnest.log}


@pytest.mark.parametrize("how", ["class Mine(Vault): pass", "class Mine(EnclaveActor): pass"])
def test_an_enclave_that_uses_the_vaults_code_is_not_run_unlocked(tmp_path: Path, how: str) -> None:
    """A subclass, or one that has merely imported it: refused in one sentence, before anything of it has run (R10)."""
    app = "from trollbridge.actors.app import App, Child\napp = App(ui='mine:Nobody', enclaves=['mine:Mine'])\n"
    tmp_path.joinpath("used.py").write_text(app, encoding="utf-8")
    mine = (
        "from trollbridge.enclave.vault import Vault\n"
        "from trollbridge.enclave import EnclaveActor\nfrom trollbridge.ui_adapter import UiActor\n"
        f"{how}\nclass Nobody(UiActor):\n    def main(self, bridge): return 0\n"
    )
    tmp_path.joinpath("mine.py").write_text(mine, encoding="utf-8")
    ended = run("run", "--learn", "used:app", folder=tmp_path)
    assert ended.code == exits.DECLARATION
    assert "learn mode does not run mine:Mine without its lock, since it uses trollbridge.enclave." in ended.said[1]


def test_nothing_but_the_option_leads_there() -> None:
    """One place makes a recorder, one option leads to it, and no member's message has a word for it (R10)."""
    texts = {
        path.relative_to(REPOSITORY).as_posix(): path.read_text(encoding="utf-8")
        for folder in ("actors", "enclave", "messages", "ui_adapter")
        for path in REPOSITORY.joinpath(folder).rglob("*.py")
    }
    assert [name for name, text in texts.items() if re.search(r"\bRecorder\(\w+, ", text)] == [
        "ui_adapter/learn_command.py"
    ]
    assert [name for name, text in texts.items() if "learn_command" in text] == ["ui_adapter/cli.py"]
    assert not any(re.search(r"environ.*learn", text, re.IGNORECASE) for text in texts.values())
    from trollbridge.messages import control  # noqa: PLC0415

    structs = [control.Hello, control.Ready, control.Failed, control.Dismantled, control.Pong, control.Notice]
    assert not [each for each in structs if "learn" in each.__struct_fields__]


# Where it cannot be.


def test_without_the_right_to_look_into_a_child_it_says_so(tmp_path: Path, port: str) -> None:
    """As in a container that allows no such thing: one sentence, its own code, and nothing has run unrecorded."""
    _application(tmp_path, port)
    ended = run("run", "--learn", "reach:app", folder=tmp_path, prefix=lacking([], {"pidfd_getfd": errno.EPERM}))
    assert ended.code == exits.NOT_ISOLATED
    assert "learn mode cannot record here" in ended.said[1]
    assert "opens" not in ended.output


def test_ctrl_c_ends_it_and_what_was_learnt_is_printed() -> None:
    """The supervisor stops in order, the exit code is that of the signal, and nothing is lost."""
    with talk("run", "--learn", "-q", "declared:idle") as dialogue:
        dialogue.hear("ready\n")
        dialogue.popen.send_signal(signal.SIGINT)
        dialogue.hear("clerk (enclave, clerk:Clerk)\n    sandbox = Sandbox()\n")
        dialogue.hear("asker (ui, asker:Asker)\n")
        assert dialogue.end() == 128 + signal.SIGINT


# The proposal alone.

HOME: Final = "/home/ann"
TEMPORARY: Final = os.path.realpath(tempfile.gettempdir())
MEMBER: Final = Member(Role.ENCLAVE, {"file": f"{HOME}/notes/deep/notes.db"}, HOME, (str(Path(sys.prefix)),), ("/app",))


def _read(*paths: str) -> list[Told]:
    return [Told(own=True, call="openat", act=Act.READ, subject=each) for each in paths]


@pytest.mark.parametrize(
    ("told", "read", "write"),
    [
        (_read("/srv/a/1"), ("/srv/a/1",), ()),
        (_read("/srv/a/1", "/srv/a/2"), ("/srv/a",), ()),
        (_read("/etc/hosts", "/etc/resolv.conf"), ("/etc/hosts", "/etc/resolv.conf"), ()),
        (_read("/a", "/b"), ("/a", "/b"), ()),
        (_read(f"{HOME}/1", f"{HOME}/2"), ("~/1", "~/2"), ()),
        (_read(f"{HOME}/notes/deep/notes.db"), ("{file}",), ()),
        (_read(f"{HOME}/notes/deep/x/1", f"{HOME}/notes/deep/x/2"), ("{file.parent}/x",), ()),
        ([*_read("/srv/a/1"), Told(own=True, call="openat", act=Act.LIST, subject="/srv/a")], ("/srv/a",), ()),
        ([Told(own=True, call="openat", act=Act.WRITE, subject=f"{HOME}/notes/deep/notes.db")], (), ("{file}",)),
        ([Told(own=True, call="openat", act=Act.MAKE, subject=f"{HOME}/notes/deep/j")], (), ("{file.parent}/",)),
        ([Told(own=True, call="mkdir", act=Act.FOLDER, subject=f"{HOME}/new")], (), ("~/new/",)),
        ([Told(own=True, call="unlink", act=Act.REMOVE, subject="/srv/a/1"), *_read("/srv/a/2")], (), ("/srv/a/",)),
        (_read("/dev/urandom"), ("/dev/urandom",), ()),
    ],
)
def test_paths_become_entries(told: list[Told], read: tuple[str, ...], write: tuple[str, ...]) -> None:
    """Several files of a folder are the folder, names come from the settings, what may be written may be read."""
    sandbox, remarks = propose(MEMBER, told)
    assert (sandbox.read, sandbox.write, remarks) == (read, write, ())


@pytest.mark.parametrize(
    ("told", "remark"),
    [
        (Told(own=True, call="openat", act=Act.MAKE, subject=f"{HOME}/x"), f"in {HOME}, which is not proposed"),
        (Told(own=True, call="openat", act=Act.MAKE, subject="/x"), "in /, which is not proposed"),
        (Told(own=True, call="mkdir", act=Act.FOLDER, subject="/home"), "give it a folder of its own"),
        (
            Told(own=True, call="openat", act=Act.MAKE, subject=f"{TEMPORARY}/x1b2"),
            f"in {TEMPORARY}, which is not proposed",
        ),
        (Told(own=True, call="openat", act=Act.LIST, subject=HOME), "lists a folder that everybody's things lie in"),
        (Told(own=True, call="openat", act=Act.LIST, subject="/"), "lists a folder that everybody's things lie in"),
        (Told(own=True, call="openat", act=Act.READ, subject="/proc/self/maps"), "cannot be declared"),
        (Told(own=True, call="openat", act=Act.READ, subject="/sys/power/state"), "cannot be declared"),
        (Told(own=True, call="openat", act=Act.MISS, subject="/srv/none"), "it is not there"),
        (Told(own=True, call="openat", act=Act.READ, subject="/app/late.py"), "code is loaded after the lock"),
        (Told(own=True, call="openat", act=Act.READ, subject="/app/__pycache__/late.x.pyc"), "/app/late.py; import"),
        (Told(own=True, call="stat", act=Act.LOOK, subject="/srv/a"), "it asks whether there is /srv/a"),
        (Told(own=True, call="fork", act=Act.FORK), "it forks"),
        (Told(own=True, call="bind", act=Act.OTHER), "the call bind: nobody may listen for connections"),
        (Told(own=True, call="mmap", act=Act.OTHER), "the call mmap: memory that can be executed: code that is loaded"),
        (Told(own=True, call="uname", act=Act.OTHER), "the call uname: it asks for the machine's name"),
        (Told(own=True, call="swapon", act=Act.OTHER), "the call swapon: no Sandbox allows it as it is made; under"),
        (Told(own=True, call="ptrace", act=Act.OTHER), "under the lock it ends the process"),
        (Told(own=True, call="socket", act=Act.SOCKET, subject="family 16, type 3"), "no Sandbox allows this kind"),
    ],
)
def test_what_cannot_be_proposed_is_said_with_the_reason(told: Told, remark: str) -> None:
    """Never the root, the home, a shared folder or /proc; never what no sandbox can allow."""
    sandbox, remarks = propose(MEMBER, [told])
    assert sandbox == Sandbox()
    assert len(remarks) == 1
    assert remark in remarks[0]


def test_what_the_lock_allows_anyhow_is_left_out() -> None:
    """The bytecode that an import writes, a look beside what may be read, what a program's loader reads."""
    told = [
        Told(own=True, call="mkdir", act=Act.FOLDER, subject="/app/__pycache__"),
        Told(own=True, call="rename", act=Act.MAKE, subject="/app/__pycache__/x.pyc"),
        Told(own=True, call="stat", act=Act.LOOK, subject="/srv/other"),
        Told(own=False, call="openat", act=Act.READ, subject="/etc/ld.so.cache"),
        Told(own=False, call="openat", act=Act.WRITE, subject="/dev/null"),
        Told(own=False, call="arch_prctl", act=Act.OTHER),
        *_read("/srv/a"),
    ]
    assert propose(MEMBER, told) == (Sandbox(read=("/srv/a",)), ())


def test_ports_are_named_and_many_of_them_are_remarked() -> None:
    """Each port alone, up to a number; a socket that connects nowhere cannot be narrowed."""
    made = Told(own=True, call="socket", act=Act.SOCKET, subject="tcp")
    connected = [Told(own=True, call="connect", act=Act.CONNECT, subject=f"tcp:{each}") for each in (443, 80)]
    assert propose(MEMBER, [made, *connected]) == (Sandbox(network=("tcp:80", "tcp:443")), ())
    sandbox, remarks = propose(MEMBER, [made])
    assert sandbox == Sandbox(network=("tcp",))
    assert "connected nowhere" in remarks[0]


def test_a_program_that_the_member_could_replace_is_not_proposed(tmp_path: Path) -> None:
    """The lock would refuse such a declaration, and rightly so (S6)."""
    program = tmp_path / "program"
    program.touch()
    told = [
        Told(own=False, call="execve", act=Act.EXECUTE, subject=str(program)),
        Told(own=True, call="openat", act=Act.MAKE, subject=str(tmp_path / "new")),
    ]
    sandbox, remarks = propose(MEMBER, told)
    assert (sandbox.exec, sandbox.write) == ((), (f"{tmp_path}/",))
    assert "it could be replaced" in remarks[0]


DECLARED: Final = Sandbox(
    read=("{file}", "/etc/notary"),
    write=("~/made/", "/srv/out"),
    exec=("/bin/sh",),
    network=("unix", "tcp:443"),
    threads=True,
)


def test_what_is_declared_already_stays_whatever_the_run_did() -> None:
    """A run that does nothing narrows nothing; one that stays inside adds nothing; what is new stands behind it."""
    member = MEMBER._replace(declared=DECLARED)
    weaker = "exec=[…] leaves the weaker list of calls: the level is partial, so write least='partial' too"
    assert propose(member, []) == (DECLARED, (weaker,))
    inside = [
        *_read("/etc/notary/1", "/etc/notary/2", f"{HOME}/made/3"),
        Told(own=True, call="openat", act=Act.MAKE, subject="/srv/out/x"),
        Told(own=True, call="mkdir", act=Act.FOLDER, subject=f"{HOME}/made/deep"),
        Told(own=True, call="socket", act=Act.SOCKET, subject="tcp"),
        Told(own=True, call="connect", act=Act.CONNECT, subject="tcp:443"),
    ]
    assert propose(member, inside) == (DECLARED, (weaker,))
    more = [
        Told(own=True, call="openat", act=Act.MAKE, subject="/srv/new/x"),
        Told(own=True, call="connect", act=Act.CONNECT, subject="tcp:80"),
    ]
    sandbox, _ = propose(member, [*inside, *more])
    assert (sandbox.write, sandbox.network) == (("~/made/", "/srv/out", "/srv/new/"), ("unix", "tcp:443", "tcp:80"))


def test_a_folder_with_the_applications_code_is_not_proposed_without_a_warning(tmp_path: Path) -> None:
    """Writing beside one's own modules is writing the next run; a folder of its own is not remarked on."""
    made = [Told(own=True, call="openat", act=Act.MAKE, subject=f"{tmp_path}/data/x")]
    sandbox, remarks = propose(MEMBER, made)
    assert (sandbox.write, remarks) == ((f"{tmp_path}/data/",), ())
    for told, member in (
        ([Told(own=True, call="openat", act=Act.MAKE, subject=f"{tmp_path}/x")], MEMBER),
        (made, MEMBER._replace(search=(f"{tmp_path}/data/code",))),
    ):
        tmp_path.joinpath("module.py").touch()
        sandbox, remarks = propose(member, told)
        assert f"write=['{sandbox.write[0]}'] holds code of the application" in remarks[0]


def test_what_a_declaration_overrides_is_proposed_where_it_is_declared() -> None:
    """A class is not asked where its `Child(…)` has a sandbox, so the proposal is one; it can be evaluated."""
    child = Child("keeping:Keeper", name="safe", sandbox=NOTHING, least="partial")
    printed = list(lines(child, Role.ENCLAVE, Proposal(DECLARED, ())))
    assert printed[0] == "safe (enclave, keeping:Keeper)"
    made: Child = eval("\n".join(printed[1:]).strip(), {"Sandbox": Sandbox, "Child": Child})  # noqa: S307
    assert (made.member, made.sandbox, made.least) == ("safe", DECLARED, child.least)
