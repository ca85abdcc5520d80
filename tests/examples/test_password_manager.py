"""The password manager of the examples: its extension fills in forms, and has no password whatever it does."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.conftest import REPOSITORY, descendants
from tests.enclave.memory_scan import scan
from tests.harness.ordinary import ROOT
from tests.ui_adapter.commands import run, talk

if TYPE_CHECKING:
    from types import ModuleType

    from tests.ui_adapter.commands import Dialogue

FOLDER: Final = REPOSITORY / "examples" / "password_manager"
MASTER: Final = "correct horse battery"
PASSWORD: Final = "canary-8d1f66ab2c"
PAGE: Final = "https://login.mail.example/start"
FILLED: Final = f"{PAGE} login=ada password={PASSWORD}"
LINES: Final = f"{MASTER}\nmail.example ada {PASSWORD}\nbank.example ada other\n{PAGE}\n"


def _window() -> ModuleType:
    spec = spec_from_file_location("window", FOLDER / "window.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _copies(dialogue: Dialogue) -> dict[str, int | None]:
    """Return how often the password stands in each process's memory; None where the kernel shows nobody that memory."""
    found: dict[str, int | None] = {}
    for each in descendants():
        if each.name.startswith("troll-") or each.pid == dialogue.popen.pid:
            name = "supervisor" if each.pid == dialogue.popen.pid else each.name
            try:
                found[name] = scan(each.pid, {"password": PASSWORD.encode()}).counts["password"]
            except PermissionError:
                found[name] = None
    return found


def test_the_form_is_filled_in_and_the_extension_never_holds_the_password(tmp_path: Path) -> None:
    """A41, A49: nor do the desk, the broker and the supervisor; the core has it, or the scan would show nothing."""
    log = tmp_path / "log"
    with (
        log.open("wb") as errors,
        talk(
            "run", "passwords:app", folder=FOLDER, more={"XDG_DATA_HOME": str(tmp_path)}, errors=errors.fileno()
        ) as dialogue,
    ):
        dialogue.say(LINES)
        assert dialogue.hear(f"{FILLED}\n").splitlines()[-1] == f"the login of mail.example: {FILLED}"
        copies = _copies(dialogue)
        dialogue.hang_up()
        assert dialogue.end() == 0
    assert {"supervisor", "troll-broker", "troll-ui", "troll-enclave", "troll-host", "troll-extension"} == copies.keys()
    if ROOT:
        assert copies["troll-ui"]
        assert {copies[name] for name in ("supervisor", "troll-broker", "troll-host", "troll-extension")} == {0}
    else:
        assert {copies[name] for name in copies if name != "supervisor"} == {None}
    assert PASSWORD not in log.read_text("utf-8")


def test_a_thief_under_the_same_grants_has_nothing_and_changes_nothing(tmp_path: Path) -> None:
    """A41, A49: it cannot open, set, delete, rename; what it substitutes is noticed; what is right is still filled in.

    Another site's login passes neither under its own name, which is not the page's, nor under the page's, since the
    seal says what was asked for.
    """
    place = {"XDG_DATA_HOME": str(tmp_path), "PYTHONPATH": str(Path(__file__).parent)}
    ended = run("run", "-q", "heist:app", folder=FOLDER, typed=LINES, more=place)
    assert (ended.code, ended.said) == (0, [])
    other = f"refused, the login of bank.example is not for {PAGE}"
    forged = "refused, that is not the login of mail.example"
    assert ended.output.splitlines() == [
        "kept: mail.example",
        "kept: bank.example",
        *(f"{name} AuthenticationFailed: {other}" for name in ("open", "open as asked")),
        *(f"{name} NoSuchHandler: {other}" for name in ("set", "delete", "rename", "ask")),
        f"substituted: {forged}",
        f"everyone's: refused, the login of  is not for {PAGE}",
        *(f"{name}: {forged}" for name in ("flipped", "mixed", "renamed", "aged", "made up")),
        f"honest \N{REPLACEMENT CHARACTER}[2J: {FILLED}",
    ]


@pytest.mark.parametrize(
    ("page", "told"),
    [
        (PAGE, True),
        ("https://mail.example:8443/", True),
        ("http://mail.example/", False),
        ("https://mail.example.thief.example/", False),
        ("https://ada@thief.example/mail.example", False),
        ("https://email.example/", False),
        ("mail.example", False),
        ("https://[mail.example", False),
    ],
)
def test_which_page_may_have_a_login_is_the_core_s_to_say(page: str, *, told: bool) -> None:
    """The extension's judgement is not trusted: the host is the site's or beneath it, and the page is encrypted."""
    assert vars(_window())["belongs"](page, "mail.example") is told
