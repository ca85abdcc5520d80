"""From what a member did to the `Sandbox` that would have let it, and to what no sandbox can say.

May import: our actors and messages. Invariants: what is proposed is valid, and never the root, a whole home folder or a
folder that everybody's things lie in; what is declared already stays; what is left out is left out with a reason, or
because the lock allows it anyhow.
"""

from __future__ import annotations

import os
import re
import tempfile
from typing import TYPE_CHECKING, Final, NamedTuple

from trollbridge.actors.isolation import filters
from trollbridge.actors.isolation.bpf import Allow, Checked, Kill
from trollbridge.actors.isolation.never import NEVER
from trollbridge.actors.isolation.programs import DEVICES, LIBRARIES
from trollbridge.actors.isolation.told import Act, Told
from trollbridge.messages.ids import Role
from trollbridge.messages.sandbox import NOTHING, Sandbox
from trollbridge.ui_adapter.doctor_scopes import WIDE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MANY: Final = 2
"""Files of one folder from which on the folder is proposed in their place."""
MOST_PORTS: Final = 8
_CODE: Final = re.compile(r".*\.(py|pyc|so(\.[0-9.]+)?)")
_UNDECLARABLE: Final = ("/proc", "/sys", "/dev/mem", "/dev/kmem")


class Member(NamedTuple):
    """Who did it."""

    role: Role
    settings: Mapping[str, str]
    home: str
    code: tuple[str, ...]
    """Folders of code that an extension may read in any case, and others must have loaded before the lock."""
    search: tuple[str, ...] = ()
    """The application's folders that an import looks through."""
    declared: Sandbox = NOTHING
    """What it may reach as it is, in the declaration's own words; it can be resolved."""


class Proposal(NamedTuple):
    """What to declare, and what could not be proposed, one sentence each."""

    sandbox: Sandbox
    remarks: tuple[str, ...]


def propose(member: Member, told: Iterable[Told]) -> Proposal:
    """Return what a member's sandbox would have to be for all that was told."""
    return _Proposing(member, sorted(told)).result()


class _Proposing:
    """One proposal in the making."""

    def __init__(self, member: Member, told: list[Told]) -> None:
        self._member = member
        self._home = os.path.realpath(member.home)
        self._code = tuple(os.path.realpath(each) for each in member.code)
        self._shared = {os.path.realpath(each) for each in (*WIDE, tempfile.gettempdir(), "/var/tmp", "/dev/shm")}  # noqa: S108  # folders that are never proposed
        self._search = {os.path.realpath(each) for each in (*member.code, *member.search)}
        self._told = [found for each in told if (found := _source(each))]
        self._late: set[str] = set()
        self._remarks: dict[str, None] = {}
        self._declared = member.declared
        resolved = member.declared.resolved(member.settings, member.home)
        self._may_write = [os.path.realpath(each) for each in resolved.write]
        self._may_read = [os.path.realpath(each) for each in resolved.read]
        self._may_execute = {os.path.realpath(each) for each in resolved.exec}
        self._read: set[str] = set()
        self._write: set[str] = set()
        self._made: set[str] = set()
        """Which of `_write` are folders."""

    def result(self) -> Proposal:
        for each in self._told:
            self._file(each)
        write = [each for each in _outermost(self._write) if not _inside(each, self._may_write)]
        readable = (*write, *self._may_write, *self._may_read)
        read = [each for each in _outermost(self._folders(self._read)) if not _inside(each, readable)]
        threads = self._member.role is Role.ENCLAVE and any(each.act is Act.THREAD and each.own for each in self._told)
        writable = (*write, *self._may_write)
        for declared_program in sorted(self._may_execute):
            self._replaceable(declared_program, write)
        programs = [each for each in self._programs() if not self._replaceable(each, writable)]
        declared = self._declared
        sandbox = Sandbox(
            read=(*declared.read, *map(self._named, read)),
            write=(*declared.write, *map(self._written, write)),
            exec=(*declared.exec, *(each for each in programs if os.path.realpath(each) not in self._may_execute)),
            network=(*declared.network, *self._network()),
            threads=threads or declared.threads,
        )
        self._judge(sandbox)
        return Proposal(sandbox, tuple(self._remarks))

    def _remark(self, text: str) -> None:
        self._remarks[text] = None

    # Files.

    def _file(self, each: Told) -> None:
        act, path = each.act, each.subject
        if not path.startswith("/") or self._needless(each):
            return
        if any(_within(path, root) for root in _UNDECLARABLE):
            if each.own and act is not Act.LOOK:
                self._remark(f"{path}: it shows other processes or the kernel, and cannot be declared")
        elif act in (Act.READ, Act.LIST):
            self._reading(each)
        elif act in (Act.WRITE, Act.FOLDER):
            self._writing(path, path, folder=act is Act.FOLDER)
        elif act in (Act.MAKE, Act.REMOVE):
            self._writing(os.path.dirname(path), path, folder=True)  # noqa: PTH120
        elif act is Act.MISS and each.own:
            self._remark(f"{path}: it is not there; if the application can do without it, nothing has to be declared")

    def _needless(self, each: Told) -> bool:
        """Return whether the lock lets it pass whatever is declared, or code is only searched for."""
        role, path = self._member.role, each.subject
        in_code = any(_within(path, folder) for folder in self._code)
        if each.act is Act.EXECUTE or (role is Role.EXTENSION and in_code and each.act in (Act.READ, Act.LIST)):
            return True
        if not each.own and (path in DEVICES or any(_within(path, os.path.realpath(root)) for root in LIBRARIES)):
            return True
        imports = in_code or (path in self._search and role is not Role.ENCLAVE)  # an import looks through them all
        return each.own and imports and each.act in (Act.LIST, Act.LOOK)

    def _reading(self, each: Told) -> None:
        path = each.subject
        if each.own and _CODE.fullmatch(path) and self._member.role is not Role.EXTENSION:
            self._late.add(path)
            return
        if not each.own:  # a program of another language's, or our own interpreter: its modules as a whole
            path = next((folder for folder in self._code if _within(path, folder)), path)
        if each.act is Act.LIST and self._shared_folder(path):
            self._remark(f"{path}: it lists a folder that everybody's things lie in; declare what it needs of it")
        elif self._member.role is Role.EXTENSION and _CODE.fullmatch(path):
            self._read.add(os.path.dirname(path))  # noqa: PTH120  # a module is found only where the folder can be listed
        else:
            self._read.add(path)

    def _writing(self, needed: str, path: str, *, folder: bool) -> None:
        if _inside(needed, self._may_write):
            return
        if self._shared_folder(needed):
            text = f"{path}: it makes or removes it in {needed}, which is not proposed; give it a folder of its own"
            self._remark(text)
        else:
            self._write.add(needed)
            self._made |= {needed} if folder else set()

    def _folders(self, paths: set[str]) -> set[str]:
        """Put a folder in the place of several of its files."""
        found: set[str] = set()
        for path in paths:
            folder = os.path.dirname(path)  # noqa: PTH120
            many = sum(os.path.dirname(each) == folder for each in paths) >= MANY  # noqa: PTH120
            found.add(folder if many and not self._shared_folder(folder) else path)
        return found

    def _shared_folder(self, path: str) -> bool:
        return path in ("/", self._home) or path in self._shared or _within(self._home, path)

    def _written(self, path: str) -> str:
        """Return what to declare for a file or a folder that is written; a folder is made, where it is missing."""
        if path not in self._made:
            return self._named(path)
        entry = f"{self._named(path)}/"
        if any(_within(each, path) for each in self._search) or _holds_modules(path):
            risk = "whoever broke into this member could change what runs the next time, unconfined"
            self._remark(f"write=[{entry!r}] holds code of the application: {risk}; give its data a folder of its own")
        return entry

    def _named(self, path: str) -> str:
        """Return a path as a declaration says it best: by a setting, by the home folder, or as it is."""
        best, length = path, 0
        for name, value in self._member.settings.items():
            real = os.path.realpath(os.path.expanduser(value)) if value.startswith(("/", "~/")) else ""  # noqa: PTH111
            for text, root in ((f"{{{name}}}", real), (f"{{{name}.parent}}", os.path.dirname(real))):  # noqa: PTH120
                usable = len(root) > length and not self._shared_folder(root)
                if usable and _within(path, root):
                    best, length = text + path[len(root) :], len(root)
        return f"~{path[len(self._home) :]}" if not length and _within(path, self._home) else best

    # Programs, connections, everything else.

    def _programs(self) -> list[str]:
        return sorted({each.subject for each in self._told if each.act is Act.EXECUTE and os.path.isfile(each.subject)})  # noqa: PTH113

    def _replaceable(self, program: str, write: Iterable[str]) -> bool:
        if _inside(program, write):
            self._remark(f"{program}: it lies where the member writes, so it could be replaced; keep programs apart")
            return True
        return False

    def _network(self) -> tuple[str, ...]:
        kinds = {each.subject for each in self._told if each.act is Act.SOCKET}
        ports = sorted(
            {each.subject for each in self._told if each.act is Act.CONNECT and each.subject != "unix"},
            key=lambda each: int(each.removeprefix("tcp:")),
        )
        for each in sorted(kinds - {"unix", "udp", "tcp"}):
            self._remark(f"a socket of {each}: no Sandbox allows this kind")
        declared = self._declared.network
        found: list[str] = [each for each in ("unix", "udp") if each in kinds and each not in declared]
        if "tcp" in declared:
            return tuple(found)
        if "tcp" in kinds and 0 < len(ports) <= MOST_PORTS:
            return (*found, *(each for each in ports if each not in declared))
        if "tcp" in kinds and (ports or not any(each.startswith("tcp:") for each in declared)):
            why = f"connected to {len(ports)} ports" if ports else "connected nowhere"
            self._remark(f"network=['tcp'] reaches every port, since it {why}; write tcp:PORT for those that it needs")
            found.append("tcp")
        return tuple(found)

    def _judge(self, sandbox: Sandbox) -> None:
        """Remark on what the lock would still refuse, and on what the proposal costs."""
        if self._late:
            where = "at the top of the module" if self._member.role is Role.UI else "at the top, or in warm_up()"
            self._remark(f"code is loaded after the lock: {_few(self._late)}; import or use it {where}")
        own = [each for each in self._told if each.own]
        looked = {each.subject for each in own if each.act is Act.LOOK and not self._needless(each)}
        role = self._member.role
        if looked and role is Role.ENCLAVE and not (sandbox.read or sandbox.write or sandbox.exec):
            text = f"it asks whether there is {_few(looked)}; under the lock the answer is no, unless it may read it"
            self._remark(text)
        if any(each.act is Act.FORK for each in own) and not sandbox.exec:
            self._remark("it forks: no Sandbox allows that; let it start a program, and declare that one")
        if sandbox.exec:
            self._remark("exec=[…] leaves the weaker list of calls: the level is partial, so write least='partial' too")
        policy = filters.policy(role, sandbox, os.getpid())
        actions = {rule.name: rule.action for rule in policy.rules}
        for name in sorted({each.call for each in own if each.act is Act.OTHER}):
            action = actions.get(name, policy.default)
            if isinstance(action, Allow) or (isinstance(action, Checked) and not filters.strict(policy)):
                continue
            end = "ends the process" if isinstance(action, Kill) else "fails"
            why = NEVER.get(name, "no Sandbox allows it as it is made")
            self._remark(f"the call {name}: {why}; under the lock it {end}")


def _source(each: Told) -> Told | None:
    """Return what was told; of a module's compiled form, which is made and kept by the way, the module itself."""
    folder, name = os.path.split(each.subject)
    if "__pycache__" not in each.subject.split("/"):
        return each
    if each.act is not Act.READ or not name.endswith(".pyc"):
        return None
    return each._replace(subject=f"{os.path.dirname(folder)}/{name.partition('.')[0]}.py")  # noqa: PTH120


def _holds_modules(folder: str) -> bool:
    try:
        return any(each.endswith(".py") for each in os.listdir(folder))  # noqa: PTH208  # names only
    except OSError:
        return False  # it has gone in the meantime


def _few(paths: Iterable[str]) -> str:
    first = sorted(paths)
    return ", ".join(first[:3]) + (f" and {len(first) - 3} more" if len(first) > 3 else "")  # noqa: PLR2004  # enough to see what it is about


def _within(path: str, folder: str) -> bool:
    return bool(folder) and (path == folder or path.startswith(folder.rstrip("/") + "/"))


def _inside(path: str, folders: Iterable[str]) -> bool:
    return any(_within(path, each) for each in folders)


def _outermost(paths: Iterable[str]) -> list[str]:
    """Return the paths that lie in none of the others, in order."""
    found = sorted(set(paths))
    return [each for each in found if not _inside(each, [other for other in found if other != each])]
