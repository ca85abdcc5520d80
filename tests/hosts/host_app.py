"""The application of these tests: a puppet and an extension, both granted files and programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.harness.stage import PUPPET, hurry
from trollbridge.actors import App, Child, Files, Matching, Program, Programs, Sandbox, Several

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trollbridge.actors.app import Granted

FILES = (
    *("stat", "list", "exists", "read", "watch", "make_folder", "remove", "rename"),
    *("begin", "put", "commit", "abandon"),
)
SHELL = "/bin/sh"
LARGEST = 1 << 20
IDLE = 1.5
"""Seconds that a program has whose output nobody takes: enough to say its number, on a busy machine too."""
OUTPUT = 300_000
"""Bytes that the noisy program may write."""


def _script(text: str, *, seconds: float = 20.0, output: int = 1 << 26, starts: Sequence[str] = ()) -> Program:
    """Return a program that runs exactly this script."""
    return Program(SHELL, args=[("-c", text)], seconds=seconds, output=output, starts=starts)


SCRIPTS = {
    "tell": "echo out; echo err >&2; exit 3",
    "ends": "n=0; while [ $n -lt 300 ]; do [ -e /proc/self/fd/$n ] && echo $n; n=$((n + 1)); done",
    "noisy": "while :; do echo noise-noise-noise-noise; done",
    "endless": "/bin/sleep 1000 & /bin/sleep 1000",
    "idle": "echo $$; while :; do echo idle-idle-idle-idle; done",
    "greedy": "x=xxxxxxxx; while :; do x=$x$x; done",
    "brood": "/bin/sleep 1000 & echo $! $$; wait",
    "orphans": "/bin/sleep 1000 & echo $!",
    "forks": "/bin/sleep 0; echo forked",
    "escape": "kill -9 $PPID; echo $?; kill -9 0; echo $?; read x </etc/hostname; echo $?; echo x >NOTES; echo $?",
}


def programs() -> dict[str, Program]:
    """Return what the host may run."""
    started = (SHELL, "/bin/sleep", "/usr/bin/env")
    return {
        "echo": Program(
            "/bin/echo",
            args=[("plain",), (), ("say", Matching(r"[a-z]+|[0-9]+")), ("-n", Several(r"[a-z-]+", least=1, most=3))],
        ),
        "cat": Program("/bin/cat", args=[()], input=True),
        "none": Program("/bin/echo"),
        "tell": _script(SCRIPTS["tell"]),
        "ends": _script(SCRIPTS["ends"]),
        "noisy": _script(SCRIPTS["noisy"], output=OUTPUT),
        "endless": _script(SCRIPTS["endless"], seconds=0.4, starts=started),
        "idle": _script(SCRIPTS["idle"], seconds=IDLE),
        "brood": _script(SCRIPTS["brood"], starts=started),
        "orphans": _script(SCRIPTS["orphans"], starts=started),
        "forks": _script(SCRIPTS["forks"]),
        "escape": _script(SCRIPTS["escape"]),
        "waits": Program(SHELL, args=[("-c", "read line; echo $line")], input=True, seconds=20),
        "leaves": Program("/usr/bin/setsid", args=[("-w", "/bin/sleep", "1000")], starts=["/bin/sleep"], seconds=20),
        "env": Program("/usr/bin/env", args=[()], environment={"GREETING": "hello"}),
        "greedy": Program(SHELL, args=[("-c", SCRIPTS["greedy"])], memory=1 << 25),
    }


def host_app(folder: str, backstage: str = "") -> App:
    """Return a puppet and, with a socket for its commands, an extension, before the folders of a test."""
    hurry(None, None)
    files = Files(read={"notes": f"{folder}/notes"}, write={"out": f"{folder}/out/"}, largest=LARGEST)
    granted: list[Granted] = [*(f"files.{each}" for each in FILES), "programs.run", "own.double", "own.register"]
    extension = Child(PUPPET, name="plugin", settings={"strings": backstage}, sandbox=Sandbox(network=("unix",)))
    extensions = [extension] if backstage else []
    grants: dict[str | type, Sequence[Granted]] = {str(each.member): granted for each in extensions}
    return App(
        ui=Child(PUPPET, name="puppet", settings={"capture": "", "canary": ""}),
        hosts=[files, Programs(programs(), most=4), Child("tests.hosts.own_host:Own", sandbox=Sandbox())],
        extensions=extensions,
        grants=grants | {"puppet": granted},
    )
