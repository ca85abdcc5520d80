"""The shipped build knows no test mode: nothing that a test, a user or an attacker could set makes it trust more.

What our own tests need, they take from outside: a program of their own as the supervisor, filters around a process.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import msgspec
import pytest

from tests.ui_adapter.commands import run
from trollbridge.actors.app import App, Child
from trollbridge.messages.control import Boot
from trollbridge.ui_adapter.cli import cli

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY: Final = Path(__file__).resolve().parents[2]
SHIPPED: Final = ("messages", "actors", "enclave", "ui_adapter")
READS_ENVIRONMENT: Final = {
    "actors/entry/child.py": "sets HOME, for an actor whose sandbox names paths beneath it",
    "actors/isolation/interpreter.py": "a folder for the copy of the interpreter, where memory files are refused",
    "actors/operations/notify.py": "where the service manager that started it listens, and how often it wants to hear",
    "actors/operations/runtime_folder.py": "where a user's running programs have their sockets, for the operator's",
    "actors/supervision/spawn.py": "the names in PASSED_ON and MINIMAL, for the children",
    "ui_adapter/attack/ground.py": "a folder for the attacker's ground",
    "ui_adapter/attack/launch.py": "a clean environment for the runner of the attacks",
    "ui_adapter/doctor_keychain.py": "where the session bus is, for the look at the keychain",
    "ui_adapter/screen.py": "whether to colour",
    "ui_adapter/vault/first_steps.py": "whether there is a session bus, before a person is asked for a password",
    "ui_adapter/vault/places.py": "where the vault's file, and for git the password's file, lie",
}
"""Every file that reads the environment, and what for: none decides on trust."""
COMMON: Final = ["vault", "demanded", "wait", "least", "log", "help"]
VAULT: Final = ["password_file", "password_fd", *COMMON]
"""What every command of the vault has; `--least` is one of the three levels, and the default is the highest."""
KEY_PASSWORD: Final = ["key_password_file", "key_password_fd"]
CONSTRAINTS: Final = ["approval", "members", "any_member", "per_hour", "until"]
OPTIONS: Final = {
    "run": [
        "reference",
        "log",
        "log_size",
        "log_keep",
        "log_key",
        "quiet",
        "name",
        "no_operator",
        "metrics",
        "learn",
        "help",
    ],
    "demo": ["help"],
    "doctor": ["reference", "as_json", "help"],
    "lint": ["reference", "log", "as_json", "help"],
    "explain": ["reference", "words", "log", "as_json", "help"],
    "log verify": ["file", "key", "head", "as_json", "help"],
    "log key": ["file", "help"],
    "log schema": ["help"],
    "logs": ["reference", "follow", "pretty", "as_json", "epoch", "members", "events", "since", "count", "help"],
    "status": ["reference", "as_json", "help"],
    "restart": ["reference", "member", "seconds", "help"],
    "rekey": ["reference", "seconds", "help"],
    "stop": ["reference", "seconds", "help"],
    "top": ["reference", "every", "once", "as_json", "help"],
    "attack": ["reference", "positions", "prefixes", "verbose", "as_json", "only_list", "help"],
    "stubs": ["reference", *("language",) * 3, "member", "folder", "help"],
    "completion": ["shell", "help"],
    "vault create": ["password_only", "keychain_only", "as_json", *VAULT],
    "vault status": ["as_json", *COMMON],
    "vault adopt": ["as_json", *VAULT],
    "vault unlock-test": ["as_json", *VAULT],
    "vault change-password": ["new_password_file", "new_password_fd", *VAULT],
    "vault rotate": VAULT,
    "vault change-mode": ["new_mode", "new_password_file", "new_password_fd", *VAULT],
    "vault check": ["locked", "as_json", *VAULT],
    "vault recovery export": ["file", "force", "recovery_password_file", "recovery_password_fd", *VAULT],
    "vault recovery import": ["file", "recovery_password_file", "recovery_password_fd", *VAULT],
    "key generate": ["user_id", "profile", "compat", "expires", "as_json", *VAULT],
    "key import": ["file", "own_password_file", "own_password_fd", "as_json", *VAULT],
    "key list": ["secret", "as_json", *VAULT],
    "key show": ["key_name", "as_json", *VAULT],
    "key export": [
        *("key_name", "output", "force", "binary", "secret", "own_password_file", "own_password_fd"),
        *(*KEY_PASSWORD, *VAULT),
    ],
    "key password": ["key_name", "remove", "own_password_file", "own_password_fd", *KEY_PASSWORD, *VAULT],
    "key add-user-id": ["key_name", "user_id", "as_json", *KEY_PASSWORD, *VAULT],
    "key revoke-user-id": ["key_name", "user_id", "as_json", *KEY_PASSWORD, *VAULT],
    "key expire": ["key_name", "when", "as_json", *KEY_PASSWORD, *VAULT],
    "key revoke": ["key_name", "sure", "as_json", *KEY_PASSWORD, *VAULT],
    "key revocation": ["key_name", "output", "force", *KEY_PASSWORD, *VAULT],
    "key delete": ["key_name", "sure", *VAULT],
    "key trust": ["key_name", "revoked", "as_json", *VAULT],
    "key constrain": ["key_name", *CONSTRAINTS, "as_json", *VAULT],
    "sign": ["file", "output", "force", "key", *("mode",) * 3, "binary", *KEY_PASSWORD, *VAULT],
    "verify": ["signature", "file", "output", "force", "signer", "as_json", *VAULT],
    "encrypt": ["file", "recipients", "output", "force", "sign", "key", "armor", *KEY_PASSWORD, *VAULT],
    "decrypt": ["file", "output", "force", "signer", "as_json", *KEY_PASSWORD, *VAULT],
    "file seal": ["file", "output", "force", *VAULT],
    "file open": ["file", "output", "force", *VAULT],
    "secret set": ["name", "kind", "use_only", "expires", "note", "replace", "whole", "empty", "as_json", *VAULT],
    "secret get": ["name", "output", "force", *VAULT],
    "secret rename": ["name", "new_name", *VAULT],
    "secret delete": ["name", "sure", *VAULT],
    "secret list": ["within", "as_json", *VAULT],
    "secret hmac": ["name", "file", "algorithm", "encoding", *VAULT],
    "secret sign-request": [
        *("name", "method", "url", "headers", "components", "body", "created", "lifetime", "key_id", "nonce"),
        *("purpose", "label", "as_json", *VAULT),
    ],
    "secret bearer": ["name", "output", "force", *VAULT],
    "secret totp": ["name", "as_json", *VAULT],
    "secret constrain": ["name", *CONSTRAINTS, "as_json", *VAULT],
}
"""Every option of every command. `--learn` confines nothing, and says so; it changes nothing about who is trusted."""
TEMPTING: Final = {
    **dict.fromkeys(("TROLLBRIDGE_TEST", "TROLLBRIDGE_DEBUG", "TROLLBRIDGE_INSECURE", "TROLLBRIDGE_LEAST"), "1"),
    **dict.fromkeys(("TESTING", "DEBUG", "CI", "PYTEST_CURRENT_TEST", "PYTHONOPTIMIZE"), "1"),
    **dict.fromkeys(("TROLLBRIDGE_RING_KEY", "TROLLBRIDGE_TOKEN", "RING_KEY"), "00" * 32),
}


def reads_environment(path: Path) -> bool:
    """Return whether a file asks for the environment in any of Python's ways."""
    names = {"environ", "environb", "getenv", "getenvb"}
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return any(
        (isinstance(node, ast.Attribute) and node.attr in names)
        or (isinstance(node, ast.ImportFrom) and any(each.name in names for each in node.names))
        for node in ast.walk(tree)
    )


def _commands(group: click.Group, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    """Return every command under its full name, those of nested groups too; a group itself takes no option."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            assert command.params == []
            yield from _commands(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


def test_the_search_finds_each_way_to_ask(tmp_path: Path) -> None:
    """R10: the search itself."""
    for number, text in enumerate(
        ("import os\nos.environ['A']", "import os\nos.getenv('A')", "from os import environb")
    ):
        path = tmp_path / f"{number}.py"
        path.write_text(text, encoding="utf-8")
        assert reads_environment(path)
    (tmp_path / "none.py").write_text("import os\nos.getpid()", encoding="utf-8")
    assert not reads_environment(tmp_path / "none.py")


def test_no_variable_decides_on_trust() -> None:
    """A51, R10: the files that read the environment are these, each for its reason."""
    found = {
        str(path.relative_to(REPOSITORY))
        for folder in SHIPPED
        for path in REPOSITORY.joinpath(folder).rglob("*.py")
        if reads_environment(path)
    }
    assert found == set(READS_ENVIRONMENT)


def test_no_option_and_no_argument_is_for_tests() -> None:
    """A51, R10: the command's options, the declaration's arguments and the first message's fields are these."""
    found = {name: [*(str(each.name) for each in command.params), "help"] for name, command in _commands(cli)}
    assert found == OPTIONS
    assert list(inspect.signature(App).parameters) == [
        *("ui", "enclaves", "hosts", "extensions", "grants", "intensity", "least"),
        *("groups", "strategy", "group_intensity", "name", "rekey"),
    ]
    assert list(inspect.signature(App.run).parameters) == ["self", "log"]
    assert list(inspect.signature(Child).parameters) == [
        *("actor", "name", "settings", "sandbox", "least", "descriptors", "memory", "replicas"),
        *("restart", "shutdown"),
    ]
    fields = [each.name for each in msgspec.structs.fields(Boot)]
    assert fields == ["member", "role", "actor", "settings", "path", "sandbox", "home", "learn", "memory", "service"]


def test_no_shipped_file_speaks_of_tests() -> None:
    """A51: no branch asks who runs it."""
    words = re.compile(r"pytest|unittest|hypothesis|sys\.gettrace|TESTING|test_mode|insecure", re.IGNORECASE)
    found = [
        f"{path.relative_to(REPOSITORY)}:{number}: {match[0]}"
        for folder in SHIPPED
        for path in REPOSITORY.joinpath(folder).rglob("*.py")
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        for match in words.finditer(line)
    ]
    assert found == []


def test_tempting_variables_change_nothing(tmp_path: Path) -> None:
    """A51, R10: with all of them set, enclave and broker are kept in full, and each ring has a key of its own."""
    (tmp_path / "inn.py").write_text(APPLICATION, encoding="utf-8")
    fingerprints: set[str] = set()
    for more in ({}, TEMPTING, TEMPTING):
        ended = run("run", "inn:app", folder=tmp_path, more=more)
        levels = json.loads(ended.output)
        assert (ended.code, levels["keeper"], levels["broker"]) == (0, "full", "full")
        fingerprints |= {line.fingerprint for line in ended.log if line.event == "ring.sealed"}
    assert len(fingerprints) == 3


APPLICATION: Final = '''
"""Shows the level of each process."""
import json

from trollbridge.actors import App
from trollbridge.actors.handlers import handler
from trollbridge.enclave import EnclaveActor
from trollbridge.ui_adapter.bridge import UiActor


class Keeper(EnclaveActor):
    @handler
    def ping(self) -> bool:
        return True


class Show(UiActor):
    def main(self, bridge):
        print(json.dumps({each.member: each.level for each in bridge.posture()}))


app = App(ui=Show, enclaves=[Keeper])
'''


@pytest.mark.parametrize("word", ["least=''", "least='none'", "least='FULL'", "least=None", "least=0"])
def test_no_level_but_the_three_can_be_asked_for(word: str, tmp_path: Path) -> None:
    """A12: a typing error never means less."""
    text = APPLICATION.replace("enclaves=[Keeper]", f"enclaves=[Keeper], {word}")
    (tmp_path / "inn.py").write_text(text, encoding="utf-8")
    ended = run("run", "-q", "inn:app", folder=tmp_path)
    assert (ended.code, ended.output, len(ended.said)) == (78, "", 1)
