"""A real Secret Service for tests: gnome-keyring on a D-Bus session of its own, in a private home.

`running(folder, state)` starts it and yields what leads to it; both daemons are gone at the end. Imports nothing of
ours.
"""

from __future__ import annotations

import contextlib
import enum
import os
import shutil
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import jeepney  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]
import jeepney.io.blocking  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]
import secretstorage

from tests.harness import proc
from tests.harness.ordinary import ordinary

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

PATIENCE: Final = 20.0
_NAME: Final = "org.freedesktop.secrets"
_jeepney: Any = jeepney  # it has no types
_BUS: Final = _jeepney.DBusAddress("/org/freedesktop/DBus", "org.freedesktop.DBus", "org.freedesktop.DBus")
_CONFIG: Final = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path={path}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
    {denied}
  </policy>
</busconfig>
"""
_DENIED: Final = '<deny send_interface="org.freedesktop.Secret.Item" send_member="GetSecret"/>'


class State(enum.Enum):
    """What the tests find there."""

    UNLOCKED = "unlocked"
    LOCKED = "locked"
    EMPTY = "without a default collection"
    DENYING = "refuses to show a secret"
    NO_SERVICE = "a bus without a Secret Service"
    NO_BUS = "no bus"


class SecretService(NamedTuple):
    """A session that runs."""

    environment: dict[str, str]
    """What a client needs to find it."""
    keyring: subprocess.Popen[bytes] | None
    """The daemon that keeps the secrets."""

    def kill(self) -> None:
        """End the daemon at once."""
        assert self.keyring is not None
        self.keyring.kill()
        self.keyring.wait()

    def stop(self) -> None:
        """Have the daemon answer nothing more."""
        assert self.keyring is not None
        self.keyring.send_signal(signal.SIGSTOP)
        proc.await_stopped(self.keyring.pid)

    @contextlib.contextmanager
    def reached(self) -> Generator[None]:
        """Have this very process find it."""
        before = {name: os.environ.get(name) for name in self.environment}
        os.environ.update(self.environment)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value

    def items(self) -> dict[str, bytes]:
        """Return what stands there for us: account → secret."""
        with self._collection() as collection:
            found = collection.search_items({"service": "trollbridge"})
            return {each.get_attributes()["username"]: each.get_secret() for each in found}

    def put(self, account: str, secret: bytes) -> None:
        """Put something there, as another program could."""
        with self._collection() as collection:
            attributes = {"service": "trollbridge", "username": account, "application": "Python keyring library"}
            collection.create_item(account, attributes, secret, replace=True)

    def lock(self) -> None:
        """Lock the default collection."""
        with self._collection() as collection:
            collection.lock()

    @contextlib.contextmanager
    def _collection(self) -> Generator[secretstorage.Collection]:
        with self.reached(), contextlib.closing(secretstorage.dbus_init()) as connection:
            yield secretstorage.Collection(connection)


@contextlib.contextmanager
def running(folder: Path, state: State = State.UNLOCKED, *, as_nobody: bool = False) -> Generator[SecretService]:
    """Start a session in that state; `as_nobody`: as an ordinary user, who gets the folder."""
    folder.mkdir(mode=0o700)
    environment = {"DBUS_SESSION_BUS_ADDRESS": f"unix:path={folder}/bus", "XDG_RUNTIME_DIR": str(folder)}
    environment |= {"HOME": str(folder)}
    if state is State.NO_BUS:
        yield SecretService(environment, None)
        return
    config = folder / "bus.conf"
    config.write_text(_CONFIG.format(path=f"{folder}/bus", denied=_DENIED if state is State.DENYING else ""))
    clean = {"PATH": os.environ["PATH"], "XDG_DATA_HOME": f"{folder}/data", **environment}

    def command(*words: str) -> list[str]:
        program = [str(shutil.which(words[0])), *words[1:]]
        return ordinary(program, folder) if as_nobody else program

    words = command("dbus-daemon", f"--config-file={config}", "--nofork", "--nopidfile", "--print-address=1")
    with _ended(subprocess.Popen(words, env=clean, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)) as bus:
        assert bus.stdout is not None
        assert bus.stdout.readline().startswith(b"unix:"), "dbus-daemon did not start"
        if state is State.NO_SERVICE:
            yield SecretService(environment, None)
            return
        unlock = [] if state is State.EMPTY else ["--unlock"]
        words = command("gnome-keyring-daemon", "--foreground", "--components=secrets", *unlock)
        quiet = subprocess.DEVNULL
        with _ended(subprocess.Popen(words, env=clean, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet)) as keyring:
            assert keyring.stdin is not None
            keyring.stdin.write(b"password of the login keyring")
            keyring.stdin.close()
            made = SecretService(environment, keyring)
            with made.reached():
                _await_name()
            if state is State.LOCKED:
                made.lock()
            yield made


@contextlib.contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Generator[subprocess.Popen[bytes]]:
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for each in (process.stdin, process.stdout):
            if each is not None:
                each.close()


def _await_name() -> None:
    """Wait until somebody answers for the Secret Service."""
    deadline = time.monotonic() + PATIENCE
    rule = _jeepney.MatchRule(
        type="signal", interface="org.freedesktop.DBus", member="NameOwnerChanged", path="/org/freedesktop/DBus"
    )
    with (
        contextlib.closing(_jeepney.io.blocking.open_dbus_connection()) as connection,
        connection.filter(rule) as changes,
    ):
        connection.send_and_get_reply(_jeepney.new_method_call(_BUS, "AddMatch", "s", (rule.serialise(),)))
        owned = connection.send_and_get_reply(_jeepney.new_method_call(_BUS, "NameHasOwner", "s", (_NAME,))).body[0]
        while not owned:
            message = connection.recv_until_filtered(changes, timeout=deadline - time.monotonic())
            owned = message.body[0] == _NAME and bool(message.body[2])
