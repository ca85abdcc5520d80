"""What is declared wrongly, or cannot be loaded or started: one line, its exit code, and nothing is left running."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from tests.harness.running import Running
from trollbridge.actors import exits

if TYPE_CHECKING:
    from pathlib import Path

CONSOLES: Final = "tests.supervision.consoles"
DECLARED: Final = f"{CONSOLES}:declared"
BROKEN_MODULES: Final = {
    "raising": 'raise RuntimeError("the module says no")\n',
    "unparsable": "def broken(:\n",
    "leaving": "import sys\nsys.exit(3)\n",
    "importing": "import no_such_module_anywhere\n",
}

UNTYPED: Final = """
from trollbridge.actors.handlers import handler
from trollbridge.enclave.actor import EnclaveActor

class Untyped(EnclaveActor):
    @handler
    def anything(self, what):
        pass
"""


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"enclave": "no_such_module:Vault"}, "no_such_module:Vault cannot be loaded: ModuleNotFoundError"),
        ({"enclave": f"{CONSOLES}:Nothing"}, f"{CONSOLES}:Nothing cannot be loaded: AttributeError"),
        ({"enclave": f"{CONSOLES}:PROBE"}, f"{CONSOLES}:PROBE is not a class"),
        ({"enclave": f"{CONSOLES}:Hidden"}, f"{CONSOLES}:Hidden is not an EnclaveActor"),
        ({"settings": {"wrong": "setting"}}, "wrong"),
        ({"granted": "no_such_handler"}, "no_such_handler"),
        ({"ui": "no_such_module:Console"}, "no_such_module:Console cannot be loaded: ModuleNotFoundError"),
        ({"ui": f"{CONSOLES}:Hidden"}, f"{CONSOLES}:Hidden is not a UiActor"),
        ({"ui_settings": {"wrong": "setting"}}, "wrong"),
    ],
)
def test_a_wrong_declaration_ends_with_its_code_and_one_line(settings: dict[str, object], said: str) -> None:
    """R7, P2, K6: 78, one line that names what is wrong, no restart, no process left."""
    with Running(DECLARED, settings) as running:
        assert running.finish() == exits.DECLARATION
        [line] = running.said()
        assert line.startswith("trollbridge: ")
        assert said in line
        assert running.lines("ring.forming", epoch=2) == running.lines("ring.sealed") == []
        assert running.wait_for("application.stopped").exit_code == exits.DECLARATION


@pytest.mark.parametrize(("place", "broken"), [*(("enclave", broken) for broken in BROKEN_MODULES), ("ui", "raising")])
def test_a_module_that_fails_to_import_ends_the_boot(place: str, broken: str, tmp_path: Path) -> None:
    """P2, R7: an exception, a syntax error, an exit, a missing import: 78, and the line names module and cause."""
    (tmp_path / f"{broken}.py").write_text(BROKEN_MODULES[broken], encoding="utf-8")
    with Running(DECLARED, {place: f"{broken}:Actor"}, folder=tmp_path) as running:
        assert running.finish() == exits.DECLARATION
        [line] = running.said()
        assert f"{broken}:Actor cannot be loaded: " in line
        failed = running.wait_for("process.failed").detail
        assert ("(no_such_module_anywhere is missing)" in failed) == (broken == "importing")
        assert f" at {broken}.py:" in failed


MISTAKEN: Final = """
from trollbridge.actors.handlers import handler
from trollbridge.enclave.actor import EnclaveActor

class Mistaken(EnclaveActor):
    MISTAKE

    @handler
    def burn(self) -> None:
        pass
"""


@pytest.mark.parametrize(
    ("mistake", "said"),
    [
        ("def __init__(self, journal): pass", "its __init__ must call super().__init__()"),
        ("sandbox = ['/etc']", "its sandbox is a list, not a Sandbox(…)"),
        ("raise KeyError('the password is swordfish')", "cannot be loaded: KeyError at mistaken.py:6"),
    ],
)
def test_a_common_mistake_is_named_without_any_value(mistake: str, said: str, tmp_path: Path) -> None:
    """R7, I6: 78, and one line that says what to change; an exception's text could hold a secret."""
    (tmp_path / "mistaken.py").write_text(MISTAKEN.replace("MISTAKE\n", f"{mistake}\n"), encoding="utf-8")
    with Running(DECLARED, {"enclave": "mistaken:Mistaken"}, folder=tmp_path) as running:
        assert running.finish() == exits.DECLARATION
        [line] = running.said()
        assert said in line
        assert "swordfish" not in running.report()


def test_a_handler_without_types_ends_the_boot(tmp_path: Path) -> None:
    """A17, R7: 78, and the line names the handler and what it lacks."""
    (tmp_path / "untyped.py").write_text(UNTYPED, encoding="utf-8")
    with Running(DECLARED, {"enclave": "untyped:Untyped"}, folder=tmp_path) as running:
        assert running.finish() == exits.DECLARATION
        [line] = running.said()
        assert "Untyped.anything: annotate what, return" in line


def test_on_start_that_raises_ends_the_boot_and_tells_no_value() -> None:
    """R7, I6: 71; the line names the actor, the class of the exception and the place, not its text."""
    with Running(DECLARED, {"settings": {"broken": "the password is swordfish"}}) as running:
        assert running.finish() == exits.BOOT_FAILED
        [line] = running.said()
        assert "probe" in line
        assert "ValueError" in line
        assert "swordfish" not in running.report()
        assert running.lines("ring.sealed") == []


def test_an_honest_declaration_of_the_same_kind_runs() -> None:
    """R7: the other half: the same declaration without a mistake."""
    with Running(DECLARED) as running:
        assert running.finish() == 0
        assert running.said() == []
