"""A vault that tests reach through the command, as a person does: with a password in a file, without a terminal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tests.harness.ordinary import NOBODY, ROOT, ordinary
from tests.ui_adapter.commands import COMMAND, PATIENCE, Dialogue, environment, talk_on_a_terminal

if TYPE_CHECKING:
    from collections.abc import Mapping

PASSWORD: Final = "correct horse battery staple"
WRONG: Final = "incorrect horse"
_CHEAPLY: Final = str(Path(__file__).with_name("cheaply.py"))


class Done(NamedTuple):
    """A command that has ended: its exit code, what it wrote, what it said to a person."""

    code: int
    out: bytes
    said: list[str]

    @property
    def text(self) -> str:
        """What it wrote, as text."""
        return self.out.decode()

    @property
    def json(self) -> Any:  # noqa: ANN401  # whatever the document holds
        """What it wrote, as JSON."""
        return json.loads(self.out)


class Safe:
    """One vault and its password's file, each in a folder of its own."""

    def __init__(self, place: Path, *, as_nobody: bool = False, cheap: bool = False) -> None:
        """Take an empty folder; `as_nobody`: every command is an ordinary user's, who owns the folder then.

        `cheap`: a guess at the password costs nothing; for tests of what comes after it (`cheaply`).
        """
        self.place: Final = place
        self.command: Final = (sys.executable, "-I", _CHEAPLY) if cheap else (COMMAND,)
        """What the vault is reached by: `trollbridge`."""
        self._as_nobody = as_nobody
        self.path: Final = place / "vault" / "test.vault"
        self.password: Final = place / "password"
        self.password.write_text(f"{PASSWORD}\n", encoding="utf-8")
        self.password.chmod(0o600)
        if as_nobody and ROOT:
            os.chown(self.password, NOBODY, NOBODY)

    @property
    def variables(self) -> dict[str, str]:
        """The variables that name the vault."""
        return {"TROLLBRIDGE_VAULT": str(self.path), "HOME": str(self.place)}

    def file(self, name: str, content: bytes = b"") -> Path:
        """Write a file beside the vault's folder, and return its path."""
        path = self.place / name
        path.write_bytes(content)
        return path

    def bare(
        self,
        *arguments: str,
        data: bytes = b"",
        more: Mapping[str, str] | None = None,
        keep: tuple[int, ...] = (),
        output: int = subprocess.PIPE,
    ) -> Done:
        """Run the command with exactly these arguments, in a session without a terminal; `keep` these descriptors."""
        command = [*self.command, *arguments]
        done = subprocess.run(
            ordinary(command, self.place) if self._as_nobody else command,
            input=data,
            stdout=output,
            stderr=subprocess.PIPE,
            cwd=self.place,
            env=environment({**self.variables, **(more or {})}),
            timeout=PATIENCE,
            start_new_session=True,
            pass_fds=keep,
            check=False,
        )
        said = done.stderr.decode()
        assert "Traceback" not in said, said
        assert PASSWORD not in said
        return Done(done.returncode, done.stdout or b"", said.splitlines())

    def run(self, *arguments: str, data: bytes = b"", more: Mapping[str, str] | None = None) -> Done:
        """Run the command with the password from its file, unless the arguments name another."""
        given = () if "--password-file" in arguments else ("--password-file", str(self.password))
        return self.bare(*arguments, *given, data=data, more=more)

    def must(self, *arguments: str, data: bytes = b"") -> Done:
        """Run it, and demand that it succeeds."""
        done = self.run(*arguments, data=data)
        assert done.code == 0, done
        return done

    def refuses(self, code: int, text: str, *arguments: str, data: bytes = b"") -> None:
        """Demand that a command ends with that code, with one line for a person that has the text, and no output."""
        done = self.run(*arguments, data=data)
        assert (done.code, done.out, len(done.said)) == (code, b"", 1), done
        assert done.said[0].startswith("trollbridge: ")
        assert text in done.said[0]

    def create(self) -> None:
        """Make the vault, with a password only."""
        self.must("vault", "create", "--password-only")

    def on_a_terminal(self, *arguments: str) -> Dialogue:
        """Start the command on a terminal, where nothing gives the password."""
        return talk_on_a_terminal(*arguments, more=self.variables, command=self.command)
