"""What is said of each call that a real lock refuses; whoever follows it, line by line, gets an enclave that works."""

from __future__ import annotations

import ast
import asyncio
import http.client
import json
import mmap
import os
import re
import socket
import socketserver
import sqlite3
import ssl
import subprocess
import sys
import tempfile
import threading
import zoneinfo
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import pytest

from tests.conftest import REPOSITORY
from tests.enclave.children import in_child
from trollbridge.actors.isolation import denials
from trollbridge.actors.isolation.lock import lock
from trollbridge.messages.ids import Role
from trollbridge.messages.sandbox import NOTHING, Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MOST: Final = 4
"""Lines that one act needs."""
CLOSED: Final = "its Sandbox covers it, but its user may not {} it (or a link leads out of what is declared)"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return a folder with a file, a database, a file that its owner closed, and a link that leads out."""
    inside = tmp_path.resolve() / "inside"
    inside.mkdir()
    (inside / "file").write_text("text", encoding="ascii")
    (inside / "empty").mkdir()
    (inside / "closed").touch(0o000)
    (inside.parent / "beside").touch()
    (inside / "link").symlink_to("../beside")
    base = sqlite3.connect(inside / "base")
    base.execute("CREATE TABLE one (two)")
    base.close()
    return inside


def said(sandbox: Sandbox, act: Callable[[], object]) -> str:
    """Return what is said of an act in a locked process; `done` if it is not refused."""

    def inside() -> str:
        lock(Role.ENCLAVE, sandbox)
        denials.watch(sandbox)
        try:
            act()
        except Exception as error:  # noqa: BLE001  # whatever it is, it is to be explained
            return denials.explain(error) or f"unexplained {type(error).__name__}"
        return "done"

    return in_child(inside)


def proposed(text: str) -> dict[str, list[str]]:
    """Return the entries that a hint tells to add."""
    advice = re.split(r", or | and least=", text.partition(": ")[2])[0]
    return {name: ast.literal_eval(entries) for name, entries in re.findall(r"(\w+)=(\[[^]]*])", advice)}


def database(path: str, *, options: str = "") -> None:
    """Read and write a database."""
    base = sqlite3.connect(f"file:{path}?{options}", uri=True) if options else sqlite3.connect(path)
    base.execute("SELECT two FROM one").fetchall()
    if not options:
        base.execute("INSERT INTO one VALUES (3)")
        base.commit()
    base.close()


def connect() -> None:
    """Connect to a port on which nobody listens."""
    with socket.socket() as end, pytest.raises(ConnectionRefusedError):
        end.connect(("127.0.0.1", 9))


def look_up() -> object:
    """Look up a name that every machine knows."""
    return socket.getaddrinfo("localhost", 9)


def replace(source: str, target: str) -> None:
    """Move a file to another folder, where there may be one of its name."""
    os.replace(source, target)  # noqa: PTH105  # the call itself


FOLLOWED: Final[Mapping[str, tuple[Callable[[str], object], dict[str, list[str]]]]] = {
    "read": (lambda at: open(f"{at}/file").read(), {"read": ["{at}/file"]}),  # noqa: PTH123, SIM115
    "read by pathlib": (lambda at: Path(f"{at}/file").read_bytes(), {"read": ["{at}/file"]}),
    "read by number": (lambda at: os.open(f"{at}/file", os.O_RDONLY), {"read": ["{at}/file"]}),
    "list": (os.listdir, {"read": ["{at}"]}),
    "scan": (os.scandir, {"read": ["{at}"]}),
    "look": (lambda at: os.stat(f"{at}/file"), {"read": ["{at}/file"]}),  # noqa: PTH116
    "exists": (lambda at: Path(f"{at}/empty").exists(), {"read": ["{at}/empty"]}),
    "update": (lambda at: open(f"{at}/file", "r+").write("x"), {"write": ["{at}/file"]}),  # noqa: PTH123, SIM115
    "create": (lambda at: open(f"{at}/new", "w").write("x"), {"write": ["{at}/"]}),  # noqa: PTH123, SIM115
    "append": (lambda at: open(f"{at}/file", "a").write("x"), {"write": ["{at}/"]}),  # noqa: PTH123, SIM115
    "create in a folder that is missing": (lambda at: Path(f"{at}/a/b/c").touch(), {"write": ["{at}/a/b/"]}),
    "make a folder": (lambda at: os.mkdir(f"{at}/new"), {"write": ["{at}/"]}),  # noqa: PTH102
    "remove": (lambda at: os.remove(f"{at}/file"), {"write": ["{at}/"]}),  # noqa: PTH107
    "remove a folder": (lambda at: os.rmdir(f"{at}/empty"), {"write": ["{at}/"]}),  # noqa: PTH106
    "move": (lambda at: replace(f"{at}/file", f"{at}/empty/x"), {"write": ["{at}/", "{at}/empty/"]}),
    "temporary file": (lambda at: tempfile.TemporaryFile(dir=f"{at}/empty"), {"write": ["{at}/empty/"]}),  # noqa: SIM115
    "database": (lambda at: database(f"{at}/base"), {"write": ["{at}/"]}),
    "database to read": (lambda at: database(f"{at}/base", options="mode=ro"), {"read": ["{at}/base"]}),
    "connect": (lambda _: connect(), {"network": ["tcp"]}),
    "datagrams": (lambda _: socket.socket(type=socket.SOCK_DGRAM), {"network": ["udp"]}),
    "unix": (lambda _: socket.socket(socket.AF_UNIX), {"network": ["unix"]}),
    "program": (lambda _: subprocess.run(["/bin/true"], check=True), {"exec": ["/bin/true"]}),
    "spawned program": (lambda _: os.posix_spawn("/bin/true", ["true"], {}), {"exec": ["/bin/true"]}),
    "shell": (lambda _: subprocess.run("true", shell=True, check=True), {"exec": ["/bin/sh"]}),  # noqa: S602, S607
    "zone": (lambda _: zoneinfo.ZoneInfo("Europe/Berlin"), {"read": ["/usr/share/zoneinfo"]}),
}


def followed(act: Callable[[], object]) -> dict[str, list[str]]:
    """Follow each hint until the act works; return what was declared by then."""
    entries: dict[str, list[str]] = {}
    heard: list[str] = []
    while "done" not in heard:
        sandbox = msgspec.structs.replace(NOTHING, **{name: tuple(each) for name, each in entries.items()})
        heard.append(said(sandbox, act))
        for name, each in proposed(heard[-1]).items():
            entries[name] = [*entries.get(name, []), *each]
        assert len(heard) <= MOST, heard
    return entries


@pytest.mark.parametrize("act", FOLLOWED)
def test_who_follows_the_hints_gets_what_is_needed_and_no_more(place: Path, act: str) -> None:
    """Each line that is said can be pasted, and after all of them the act works: both halves of every refusal."""
    function, expected = FOLLOWED[act]
    entries = followed(lambda: function(str(place)))
    assert entries == {name: [path.format(at=place) for path in paths] for name, paths in expected.items()}


AFRESH: Final = "import json; from tests.isolation import test_hints as it; print(json.dumps({}))"
"""A process that has never looked up a host: what the C library and Python load for it, they load once."""


def afresh(expression: str) -> object:
    """Return the value of an expression over this module, as `it`, in a new process."""
    command = [sys.executable, "-c", AFRESH.format(expression)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    found: object = json.loads(subprocess.run(command, env=environment, capture_output=True, check=True).stdout)
    return found


def test_a_name_can_be_looked_up_once_every_hint_is_followed() -> None:
    """The C library needs sockets and three files; the first hint comes from Python itself."""
    assert afresh("it.followed(it.look_up)") == {
        "network": ["tcp", "udp"],
        "read": ["/etc/hosts", "/etc/nsswitch.conf", "/etc/resolv.conf"],
    }
    text = afresh("it.said(it.NOTHING, it.look_up)")
    assert str(text).startswith("looking up a host: add network=['tcp'] to its Sandbox")


@pytest.mark.parametrize(
    ("act", "start"),
    [
        (lambda: socket.socket(), "socket: add network=['tcp'] to its Sandbox, or narrower ['tcp:PORT']"),  # noqa: PLW0108
        (lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW), "socket: no Sandbox allows this kind"),
        (lambda: open("/proc/self/maps"), "open('/proc/self/maps'): it shows other processes or the kernel, and"),  # noqa: PTH123, SIM115
        (lambda: open("/tmp/x", "w"), "open('/tmp/x'): it lies among everybody's things; give it a folder of"),  # noqa: PTH123, S108, SIM115
        (lambda: os.mkdir("/tmp/nobodys"), "os.mkdir('/tmp/nobodys'): add write=['/tmp/nobodys/'] to its Sandbox"),  # noqa: PTH102, S108
        (lambda: open("~/x"), "'~/x': ~ is not expanded in a path that is opened; write os.path.expanduser('~/x')"),  # noqa: PTH123, SIM115
        (lambda: subprocess.run(["no-such"]), "subprocess.Popen('no-such'): add exec=[the absolute path of no-such]"),  # noqa: PLW1510, S607
        (lambda: subprocess.run(["/bin/true"]), "subprocess.Popen('/bin/true'): add exec=['/bin/true'] to its Sandbox and least=\"partial\" to its Child(…)"),  # noqa: E501, PLW1510
        (os.fork, "os.fork: a locked process cannot fork; a program can be started, if exec=[…] declares it"),
        (lambda: os.uname(), "os.uname: it asks for the machine's name or figures, which are not told; ask in"),  # noqa: PLW0108
        (lambda: socket.gethostname(), "socket.gethostname: it asks for the machine's name"),  # noqa: PLW0108
        (lambda: os.link("/a", "/b"), "os.link('/a'): a second name of a file (a link) is never allowed; copy"),
        (lambda: os.symlink("/a", "/b"), "os.symlink('/b'): a second name of a file"),  # noqa: PTH211
        (lambda: os.chmod("/a", 0o600), "os.chmod('/a'): modes, owners, times and attributes of files cannot be"),  # noqa: PTH101
        (lambda: os.truncate("/a", 0), "os.truncate('/a'): a file is not truncated by its path; open it"),
        (lambda: os.chdir("/"), "os.chdir('/'): the current folder stays as it is; use absolute paths"),
        (lambda: os.readlink("/a"), "os.readlink('/a'): where a symbolic link leads is not told"),  # noqa: PTH115
        (lambda: os.statvfs("/"), "os.statvfs('/'): facts about file systems are not told"),
        (lambda: os.kill(1, 0), "os.kill: other processes cannot be looked into, signalled or waited for"),
        (lambda: os.sched_setaffinity(0, [0]), "os.sched_setaffinity: priorities, processors and limits are not its"),
        (lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_EXEC), "mmap.mmap: memory that can be executed: code that is"),
        (lambda: os.memfd_create("x"), "os.memfd_create: memory that outlives its locks or has a descriptor"),
        (lambda: threading.Thread(target=print).start(), "start of a thread: add threads=True to its Sandbox"),
    ],
)  # fmt: skip
def test_what_is_said_where_nothing_is_declared(act: Callable[[], object], start: str) -> None:
    """One line that begins with the call; where no sandbox can allow it, the reason in words and what to do instead."""
    text = said(NOTHING, act)
    assert text.startswith(start)
    assert "\n" not in text


async def serve() -> None:
    """Wait for connections as asyncio does."""
    await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)


LISTENING: Final[Mapping[str, Callable[[], object]]] = {
    "create_server": lambda: socket.create_server(("127.0.0.1", 0)),
    "socketserver": lambda: socketserver.TCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler),
    "bind": lambda: socket.socket().bind(("127.0.0.1", 0)),
    "listen": lambda: socket.socket().listen(),
    "asyncio": lambda: asyncio.run(serve()),
}


@pytest.mark.parametrize("act", LISTENING)
def test_nobody_is_told_to_declare_a_network_in_order_to_listen(act: str) -> None:
    """Whoever wants to listen learns that nobody may, whatever is declared; from a library's server at once."""
    expected = ": nobody may listen for connections or bind an address: they only go out"
    assert said(Sandbox(network=("tcp", "udp", "unix")), LISTENING[act]).endswith(expected)
    if act in ("create_server", "socketserver"):
        assert said(NOTHING, LISTENING[act]) == f"listening{expected}"


def test_a_port_that_is_not_declared_is_named(place: Path) -> None:
    """Whether the socket connects itself, or a library does it; what is declared and refused is no matter of it."""
    for act in (
        connect,
        lambda: socket.create_connection(("127.0.0.1", 9)),
        http.client.HTTPConnection("127.0.0.1", 9).connect,
    ):
        assert (
            said(Sandbox(network=("tcp:443",)), act) == "socket.connect(port 9): add network=['tcp:9'] to its Sandbox"
        )
    assert said(Sandbox(network=("tcp:443", "tcp:9")), connect) == "done"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("")
        listener.listen()
        name = listener.getsockname()
        text = said(Sandbox(network=("unix",)), lambda: socket.socket(socket.AF_UNIX).connect(name))
        assert "abstract name" in text
    assert place.exists()


def test_what_is_covered_is_the_users_own_matter(place: Path) -> None:
    """Nobody is told to declare what is declared: the file's own permissions refuse it, or a link that leads out."""
    whole, at = Sandbox(write=(f"{place}/",)), str(place)
    read = Sandbox(read=(at,))
    cases: tuple[tuple[Sandbox, Callable[[], object], str, str], ...] = (
        (read, (place / "closed").read_text, "closed", "read"),
        (whole, (place / "closed").read_text, "closed", "read"),
        (whole, lambda: (place / "closed").write_text("x"), "closed", "write"),
        (Sandbox(write=(f"{place}/closed",)), lambda: (place / "closed").write_text("x"), "closed", "write"),
        (whole, lambda: (place / "link").write_text("x"), "link", "write"),
        (read, (place / "link").read_text, "link", "read"),
    )
    for sandbox, act, name, verb in cases:
        assert said(sandbox, act) == f"open('{at}/{name}'): {CLOSED.format(verb)}"
    assert (
        said(read, lambda: (place / "file").write_text("x")) == f"open('{at}/file'): add write=['{at}/'] to its Sandbox"
    )


def test_a_tilde_is_explained_where_the_home_folder_is_declared(place: Path) -> None:
    """The declaration expands it, `open` does not: said too where the path is merely not found."""
    text = "'~/notes/x': ~ is not expanded in a path that is opened; write os.path.expanduser('~/notes/x')"
    for sandbox in (NOTHING, Sandbox(write=(f"{place}/",))):
        assert said(sandbox, Path("~/notes/x").read_text) == text
        assert said(sandbox, lambda: Path("~/notes/x").write_text("x")) == text


def test_programs_are_named_by_their_absolute_path() -> None:
    """Found on the search path where that may be looked at; the price of the first program stands in the same line."""
    spawn = lambda: subprocess.run(["true"], check=True)  # noqa: E731, S607
    price = 'to its Sandbox and least="partial" to its Child(…)'
    assert said(NOTHING, spawn) == f"subprocess.Popen('true'): add exec=[the absolute path of true] {price}"
    text = said(Sandbox(read=("/usr/bin",)), spawn)
    [found] = re.findall(r"add exec=\['(/.*/true)'\]", text)
    assert text.endswith(price)
    assert said(Sandbox(exec=("/bin/sh",)), spawn) == f"subprocess.Popen('true'): add exec=['{found}'] to its Sandbox"
    assert said(Sandbox(exec=(found,)), spawn) == "done"


def test_arguments_of_programs_are_neither_shown_nor_kept() -> None:
    """A command line may hold a secret, as may an environment."""

    def spawn() -> str:
        lock(Role.ENCLAVE, NOTHING)
        denials.watch(NOTHING)
        os.system("/bin/echo canary")  # noqa: S605  # pyright: ignore[reportDeprecated]
        shell = str(denials._last)  # pyright: ignore[reportPrivateUsage]
        try:
            subprocess.run(["/bin/echo", "canary"], env={"A": "canary"}, check=True)
        except PermissionError as error:
            kept = str(denials._last)  # pyright: ignore[reportPrivateUsage]
            return f"{denials.explain(error)} {kept} {shell}"
        return ""

    text = in_child(spawn)
    assert "subprocess.Popen('/bin/echo')" in text
    assert "canary" not in text


def unlike(error: Exception) -> Callable[[], object]:
    """Return an act that raises an error of its own."""

    def act() -> None:
        raise error

    return act


def test_what_the_lock_has_not_refused_is_not_explained(place: Path) -> None:
    """Errors of the application, of TLS, of other machines, of a database's contents: nothing is to be declared."""
    (place / "code").write_text("", encoding="ascii")
    sandbox = Sandbox(write=(f"{place}/",), network=("tcp",))
    cases: tuple[tuple[Callable[[], object], str], ...] = (
        (unlike(PermissionError(1, "by the application")), "PermissionError"),
        (unlike(PermissionError("you may not")), "PermissionError"),
        (unlike(ssl.SSLError(1, "certificate verify failed")), "SSLError"),
        (unlike(RuntimeError("can't start")), "RuntimeError"),
        (lambda: socket.socket().connect(("127.0.0.1", 9)), "ConnectionRefusedError"),
        ((place / "none").read_text, "FileNotFoundError"),
        ((place / "empty").mkdir, "FileExistsError"),
        (lambda: sqlite3.connect(place / "base").execute("SELECT * FROM none"), "OperationalError"),
        (lambda: "x".encode("no-such-encoding"), "LookupError"),
        (unlike(KeyError("key")), "KeyError"),
    )
    for act, kind in cases:
        assert said(sandbox, act) == f"unexplained {kind}"
    zones = Sandbox(read=("/usr/share/zoneinfo",))
    assert said(zones, lambda: zoneinfo.ZoneInfo("Europe/Nowhere")).startswith("unexplained")


def test_another_call_before_does_not_mislead(place: Path) -> None:
    """The line is about the call that failed, whatever went well, or was done without, before it."""

    def after_others() -> None:
        (place / "file").read_text()
        with pytest.raises(PermissionError):
            subprocess.run(["/bin/true"], check=True)
        os.uname()

    assert said(Sandbox(read=(str(place),)), after_others).startswith("os.uname: ")


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("import xml.etree.ElementTree", "xml.etree.ElementTree"),
        ("from xml.etree import ElementTree", "xml.etree"),
        ("from json import tool", "json.tool"),
        ("import json.tool as found", "json.tool"),
        ("import_module('email.mime.audio')", "email.mime.audio"),
        ("'x'.encode('cp1250')", "encodings.cp1250"),
    ],
)
def test_an_import_is_named_as_the_code_has_it(code: str, name: str) -> None:
    """Not the package around it, which is looked for first; an encoding is a module too (R9)."""
    program = (
        "import json\nfrom importlib import import_module\nfrom trollbridge.actors.isolation import denials, imports\n"
        f"denials.watch()\nimports.seal()\ntry:\n    {code}\nexcept (ImportError, LookupError) as error:\n"
        "    print(denials.explain(error))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert f"import {name}" in done.stdout
    assert "at the top of the module, or in warm_up(), which run before the lock" in done.stdout


def test_an_event_loop_runs_in_an_enclave() -> None:
    """It wakes itself by a pair of sockets, which everyone may make: both ends are its own."""

    async def work() -> None:
        await asyncio.sleep(0)

    assert said(NOTHING, lambda: asyncio.run(work())) == "done"
