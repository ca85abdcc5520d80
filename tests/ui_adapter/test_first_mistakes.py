"""What somebody writes who is new here, and the sentence that says what to write instead; nothing is started."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.actors.test_incidents import Outside
from trollbridge.actors.app import App
from trollbridge.actors.calling.client import Client
from trollbridge.actors.calling.promise import Promise
from trollbridge.actors.calling.route import Route
from trollbridge.actors.entry.caller import CallerActor, carry_out
from trollbridge.actors.extension import Extension
from trollbridge.actors.handlers import exported, handler
from trollbridge.actors.serving.gatekeeper import Gatekeeper
from trollbridge.messages.control import Granted
from trollbridge.messages.errors import DeclarationError, RingDismantled, TrollbridgeError, UsageError
from trollbridge.messages.grants import Grant, Matching
from trollbridge.messages.ids import MemberId
from trollbridge.ui_adapter.bridge import Bridge
from trollbridge.ui_adapter.loading import NotRunnable, load
from trollbridge.ui_adapter.log_places import log_to

if TYPE_CHECKING:
    from collections.abc import Callable


class Notary:
    """An enclave's handlers."""

    @handler
    def seal(self, document: bytes, title: str = "", copies: int = 1) -> bytes:
        """Seal."""
        raise NotImplementedError


def app(grants: Any) -> App:  # noqa: ANN401  # what a person may write
    """Return an application with these grants."""
    return App(ui="desk:Desk", enclaves=["notary:Notary"], grants=grants)


def serving(**conditions: object) -> None:
    """Let a server see a grant, as it does when it joins."""
    granted = Granted("desk", "ui", (Grant("seal", rule=3).where(**conditions),))
    Gatekeeper(MemberId("notary"), exported(Notary), Outside()).check([granted])


ANY: Final[Any] = Bridge(Client())
"""Without a ring; whatever is given to it."""
MISTAKES: Final[dict[str, tuple[Callable[[], object], type[TrollbridgeError]]]] = {
    "'./app.py:app' names a file; an application is named by its module: run app:app": (
        lambda: load("./app.py:app"),
        NotRunnable,
    ),
    "run y:app, in the folder /x": (lambda: load("/x/y.py"), NotRunnable),
    "grants name notary, which is no handler; write notary.HANDLER": (
        lambda: app({"desk": ["notary"]}),
        DeclarationError,
    ),
    "Extension takes the name of an entry point; write Child('./stamps.py:Stamps')": (
        lambda: Extension("./stamps.py:Stamps"),
        DeclarationError,
    ),
    "Matching takes a pattern as a string, such as Matching(r'[a-z]+'), not Pattern": (
        lambda: Matching(re.compile("a")),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        DeclarationError,
    ),
    "seal to what is no str, which is its type; of several values one is allowed by OneOf(…)": (
        lambda: serving(title=["a", "b"]),
        DeclarationError,
    ),
    "desk, rule 3: grants limit the argument copies of seal to what is no int, which is its type": (
        lambda: serving(copies="a"),
        DeclarationError,
    ),
    "a plugin is a module, not a class: load './p.py'": (lambda: ANY.load_plugin("./p.py:Foo"), UsageError),
    "'plug.py' names no module; a file is known by a slash: write './plug.py'": (
        lambda: ANY.load_plugin("plug.py"),
        UsageError,
    ),
    "There is no sealed ring, and no plugin was loaded": (lambda: ANY.load_plugin(Path(__file__)), RingDismantled),
    "approve and refuse take one of what bridge.approvals() returns, not a str": (lambda: ANY.approve("x"), UsageError),
    "a value of the type bytes is no Sealed value": (lambda: ANY.open(b"x"), UsageError),
    "this is a promise of a value, and no event loop runs here": (lambda: list(Promise[int]()), UsageError),
}


@pytest.mark.parametrize("sentence", MISTAKES)
def test_a_mistake_is_told_with_what_to_write_instead(
    sentence: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A55: by an error of ours, in one sentence; a plugin's mistakes close no window."""
    client = Client()
    client.close_window = lambda: request.raiseerror("the window was closed")
    monkeypatch.setattr(ANY, "_client", client)
    act, kind = MISTAKES[sentence]
    with pytest.raises(kind) as told:
        act()
    assert type(told.value) is kind
    assert sentence in str(told.value)
    assert "\n" not in str(told.value)
    assert not client.foreign


def test_names_are_where_they_are_looked_for() -> None:
    """What is there is listed."""
    from trollbridge import actors, ui_adapter  # noqa: PLC0415  # what a person looks at

    assert {"App", "HostActor"} <= {*dir(actors)}
    assert dir(ui_adapter) == ["AsyncUiActor", "Bridge", "ExtensionActor", "UiActor"]
    for package in (actors, ui_adapter):
        assert all(callable(getattr(package, each)) for each in dir(package))


def test_a_signature_shows_defaults() -> None:
    """As Python writes them; empty ones too."""
    route = Route(MemberId("notary"), exported(Notary)["seal"].entry(bytes(16)), {})
    assert route.signature() == "(document: bytes, title: str = '', copies: int = 1) -> bytes"


@pytest.mark.parametrize(
    ("returned", "code", "said"),
    [
        (None, 0, []),
        (False, 0, []),
        (255, 255, []),
        *((number, 70, [f": main returned {number}, which is no exit code"]) for number in (256, -1)),
        ("canary", 70, [": main returned a str, which is no exit code"]),
    ],
)
def test_what_is_no_exit_code_is_told(returned: object, code: int, said: list[str]) -> None:
    """A55: a process can end with 0 to 255 only."""

    class Work(CallerActor):
        def run(self, client: Client) -> Any:  # noqa: ANN401  # what a person may return
            del client
            return returned

    told: list[str] = []
    assert carry_out(Work(), Client(), lambda text, _: told.append(text)) == code
    assert [each.partition(":  ")[0].split(": return")[0] for each in told] == said


def test_without_a_log_a_failure_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """I6: which handler, the exception's class, the incident's number and place."""
    log = log_to(None, quiet=True)
    log.line("ring.sealed", 1)
    log.line("handler.failed", 1, member="desk", told_by="notary", why="builtins.ValueError", detail="seal 0a1b n.py:9")
    assert capsys.readouterr() == (
        "",
        "trollbridge: notary.seal failed: builtins.ValueError (incident 0a1b at n.py:9)\n",
    )
