"""The grants that learn mode drafts: enough for what was called, and weaker in no other run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.actors.switchboard import PLUGIN, UI, VAULT, Switchboard
from tests.conftest import REPOSITORY
from tests.ui_adapter.commands import run
from trollbridge.actors.app import App, Child
from trollbridge.actors.handlers import exported, handler
from trollbridge.actors.hosts.declaring import Files
from trollbridge.actors.operations.log import Line, Log
from trollbridge.messages.control import NoticeKind
from trollbridge.messages.grants import Grant
from trollbridge.messages.ids import Role
from trollbridge.messages.record import Refusal
from trollbridge.messages.sandbox import NOTHING
from trollbridge.ui_adapter.explain_words import quoted
from trollbridge.ui_adapter.learn_grants import HEAD, LONGEST_WHY, MOST_REFUSED, Heard, draft, lines, widened
from trollbridge.ui_adapter.learn_proposal import Proposal
from trollbridge.ui_adapter.learn_report import NOT_STARTED, SHIPPED
from trollbridge.ui_adapter.learn_report import lines as proposed
from trollbridge.ui_adapter.manifests import Described, Manifest

if TYPE_CHECKING:
    from pathlib import Path


class Notary:
    """An enclave's handlers."""

    @handler
    def sign(self) -> None:
        """Sign."""

    @handler
    def seal(self) -> None:
        """Seal."""

    @handler(core=True)
    def erase(self) -> None:
        """Erase."""


EXPORTED: Final = {
    "notary": Manifest(
        tuple(Described(each.entry(bytes(16)), each.mark.core, "") for each in exported(Notary).values())
    ),
    "broken": Manifest((), "cannot be loaded"),
}
APP: Final = App(
    ui="front:Console",
    enclaves=[Child("keep:Notary", name="notary"), Child("keep:Clerk", name="clerk", replicas=2)],
    extensions=["guest:Plugin"],
    grants={
        "console": [Grant("notary.sign").at_most(1, seconds=5), "clerk.copy"],
        "clerk": ["notary.seal"],
    },
)


def heard(*events: tuple[str, str, str, str]) -> Heard:
    """Return what is heard of a run with these events, as the broker tells them: event, member, detail, why."""
    log = Log(lambda _: None)
    found = Heard(log, widened(APP, EXPORTED))
    for event, member, detail, why in events:
        log.line(event, 1, member=member, told_by="broker", detail=detail, why=why)
    return found


def test_what_is_widened_is_a_copy_and_what_is_declared_stays() -> None:
    """A rule that is there decides as ever; what is for the core UI goes to nobody else; servers get nothing more."""
    wide = widened(APP, EXPORTED)
    assert {member: [(each.rule, each.handler) for each in grants] for member, grants in wide.grants.items()} == {
        "notary": [],
        "clerk": [(1, "notary.seal")],
        "clerk_2": [(1, "notary.seal")],
        "console": [(1, "notary.sign"), (2, "clerk.copy"), (3, "notary.erase"), (4, "notary.seal")],
        "plugin": [(1, "notary.seal"), (2, "notary.sign")],
    }
    assert wide.grants[APP.ui.member][:2] == APP.grants[APP.ui.member]
    assert [each.handler for each in APP.grants[APP.ui.member]] == ["notary.sign", "clerk.copy"]


def test_a_draft_has_what_was_declared_and_what_was_missed() -> None:
    """Once each, conditions included; what a replica calls, its member calls; it can be pasted as it stands."""
    run_of_it = heard(
        ("grant.used", "console", "notary.sign", ""),
        ("grant.used", "console", "notary.erase", ""),
        ("grant.used", "clerk_2", "notary.seal", ""),
        ("grant.used", "plugin", "notary.seal", ""),
        ("ring.sealed", "supervisor", "", ""),
        ("call.refused", "console", "sign rule 1", "more calls than the grant allows in its time"),
        ("call.refused", "console", "sign rule 1, 2 so far", "more calls than the grant allows in its time"),
        ("lease.refused", "plugin", "", "no grant"),
    )
    printed = [*lines(APP, run_of_it)]
    assert printed[-4:] == [
        "to be looked at:",
        "  - console: granted, and not called in this run: clerk.copy",
        "  - console: refused, sign rule 1: more calls than the grant allows in its time",
        "  - plugin: refused, a handler that it may not call: no grant",
    ]
    scope: dict[str, object] = {"Grant": Grant}
    exec("\n".join(printed[:-4]), scope)  # noqa: S102  # what is printed is to be pasted
    assert scope["grants"] == {
        "clerk": ["notary.seal"],
        "console": [Grant("notary.sign").at_most(1, seconds=5), "clerk.copy", "notary.erase"],
        "plugin": ["notary.seal"],
    }
    assert set(draft(APP, run_of_it)) == {"clerk", "console", "plugin"}
    bare = App(ui="front:Console")
    assert [*lines(bare, heard())] == ["grants = {}"]


def test_no_text_that_is_told_gets_into_the_draft() -> None:
    """Finding 17: a use is a caller and a handler of this run; what else a broker or a server tells is left out."""
    injected = 'notary.sign", "notary.reveal"],\n    "front": ["notary.seal\x1b]0;x\x07'
    why = f"\x1b[2J\n{'x' * 300}"
    run_of_it = heard(
        ("grant.used", "plugin", injected, ""),
        ("grant.used", 'plugin": ["notary.sign"], "x', "notary.sign", ""),
        ("grant.used", "plugin", "notary.erase", ""),
        ("grant.used", "nobody", "notary.sign", ""),
        ("grant.used", "clerk_2", "notary.sign", ""),
        ("call.refused", "plugin", f"sign rule 1{injected}", ""),
        ("call.refused", "plugin", f"sign rule {'9' * 5000}", ""),
        ("call.refused", "plugin", "reveal rule 1", ""),
        ("call.refused", "nobody", "sign rule 1", ""),
        *(("call.refused", "plugin", "sign rule 1", f"{number}{why}") for number in range(2 * MOST_REFUSED)),
    )
    for event, detail in (("grant.used", "notary.sign"), ("lease.refused", "")):
        run_of_it.hear(Line(time=0, event=event, epoch=1, member="plugin", told_by="notary", detail=detail))
    assert run_of_it.used == set()
    assert set(draft(APP, run_of_it)) == {"clerk", "console"}
    printed = [*lines(APP, run_of_it)]
    assert all(each.isprintable() and len(each) < 2 * LONGEST_WHY for each in printed)
    assert len(run_of_it.refused) == sum("refused, sign rule 1: " in each for each in printed) == MOST_REFUSED
    assert quoted(injected).isprintable()
    assert eval(quoted(injected), {"__builtins__": {}}) == injected  # noqa: S307  # what is printed is to be pasted


def test_who_was_not_there_and_who_comes_with_a_sandbox_gets_no_proposal() -> None:
    """An extension that the run's end has overtaken; a host that ships, whose declaration has its Sandbox."""
    plugin = Child("guest:Plugin")
    assert [*proposed(plugin, Role.EXTENSION, None)][1:] == [f"  {NOT_STARTED}"]
    assert [*proposed(Files(read=["/srv"]), Role.HOST, Proposal(NOTHING, ()))][1:] == [f"  {SHIPPED}"]


def test_what_is_heard_is_passed_on() -> None:
    """The log of a run in learn mode lacks nothing."""
    written: list[str] = []
    log = Log(written.append)
    found = Heard(log, APP)
    log.line("grant.used", 3, member="console", told_by="broker", detail="notary.sign")
    assert found.used == {("console", "notary.sign")}
    assert len(written) == 1
    assert '"epoch":3,"member":"console","detail":"notary.sign"' in written[0]


_KEEP: Final = """
from trollbridge.actors.handlers import handler
from trollbridge.enclave import EnclaveActor

class Notary(EnclaveActor):
    @handler
    def sign(self, text: str) -> str: return text.upper()

    @handler
    def seal(self, text: str) -> str: return text
"""
_FRONT: Final = """
from trollbridge.ui_adapter import UiActor

class Console(UiActor):
    def main(self, bridge):
        for text in ("a", "b"):
            print(bridge.notary.sign(text).get(timeout=20))
"""
_DECLARATION: Final = """
from trollbridge.actors import App
{grants}
app = App(ui="front:Console", enclaves=["keep:Notary"], grants=grants)
"""


def _declare(folder: Path, grants: str) -> None:
    folder.joinpath("declared.py").write_text(_DECLARATION.format(grants=grants), encoding="utf-8")


def _uses(log: list[Line]) -> list[tuple[str, str]]:
    return [(each.member, each.detail) for each in log if each.event == "grant.used"]


def test_what_is_drafted_lets_the_application_run(tmp_path: Path) -> None:
    """The whole way: nothing granted and refused; learnt, each call once in the log; pasted, and it runs (A18)."""
    tmp_path.joinpath("keep.py").write_text(_KEEP, encoding="utf-8")
    tmp_path.joinpath("front.py").write_text(_FRONT, encoding="utf-8")
    _declare(tmp_path, "grants = {}")
    refused = run("run", "declared:app", folder=tmp_path)
    assert (refused.code, refused.output, _uses(refused.log)) == (1, "", [])
    learnt = run("run", "--learn", "declared:app", folder=tmp_path)
    assert learnt.output.startswith("A\nB\n")
    assert _uses(learnt.log) == [("console", "notary.sign")]
    drafted = learnt.output.partition(f"\n{HEAD}\n")[2]
    assert drafted == '\ngrants = {\n    "console": [\n        "notary.sign",\n    ],\n}\n'
    _declare(tmp_path, drafted)
    granted = run("run", "declared:app", folder=tmp_path)
    assert (granted.code, granted.output, _uses(granted.log)) == (0, "A\nB\n", [])


def test_the_broker_tells_each_use_once_and_only_in_learn_mode() -> None:
    """Of a member and a handler the first lease, however many follow; what is refused is no use; else silence."""
    boards = [Switchboard(tells_calls=True), Switchboard()]
    for board in boards:
        uid = board.lease(UI, "vault.sign")[0]
        board.call(UI, VAULT, uid)
        board.take(VAULT, Refusal(uid))
        assert len(board.lease(UI, "vault.sign")) == 1
        board.lease(UI, "vault.none")
        board.lease(PLUGIN, "vault.list")
    uses = [[(each[1], each[3]) for each in board.notices if each[0] is NoticeKind.GRANT_USED] for board in boards]
    assert uses == [[(UI, "vault.sign"), (PLUGIN, "vault.list")], []]


def test_nothing_but_learn_mode_widens_a_declaration() -> None:
    """R10: one file makes the copy, and one has it run."""
    texts = {
        path.relative_to(REPOSITORY).as_posix(): path.read_text(encoding="utf-8")
        for folder in ("actors", "enclave", "messages", "ui_adapter")
        for path in REPOSITORY.joinpath(folder).rglob("*.py")
    }
    assert sorted(name for name, text in texts.items() if "widened(" in text) == [
        *("ui_adapter/learn_command.py", "ui_adapter/learn_grants.py"),
    ]
    assert [name for name, text in texts.items() if "tells_calls=bool(" in text] == ["actors/entry/child.py"]
