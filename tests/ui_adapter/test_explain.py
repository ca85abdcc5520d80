"""`explain`: which rule decides, as the server decides, for the operator; the caller of a refused call learns none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import pytest
from msgspec import structs

from tests.ui_adapter.commands import run
from trollbridge.actors.app import App, Child
from trollbridge.actors.handlers import exported, handler
from trollbridge.actors.operations.events import EVENTS
from trollbridge.actors.operations.log import Line
from trollbridge.actors.serving.granting import WAITS
from trollbridge.messages import grants as grammar
from trollbridge.messages.control import NoticeKind
from trollbridge.messages.errors import Refused, UsageError
from trollbridge.messages.grants import Between, Grant, Longest, Matching, OneOf
from trollbridge.ui_adapter import explain_events, explain_log, explain_rules, explain_words
from trollbridge.ui_adapter.explain_rules import Answer, Explanation, explain, parsed
from trollbridge.ui_adapter.lint_finding import FORMAT, Findings
from trollbridge.ui_adapter.manifests import Described

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from trollbridge.messages.signature import TypeSpec


class Notary:
    """An enclave's handlers."""

    @handler
    def sign(self, key: str, data: bytes, copies: int = 1, tags: tuple[str, ...] | None = None) -> bytes:
        """Sign."""
        raise NotImplementedError

    @handler(core=True)
    def erase(self, key: str) -> None:
        """Erase."""
        raise NotImplementedError

    @handler
    def count(self) -> int:
        """Count."""
        raise NotImplementedError


EXPORTS: Final = {
    "notary": {name: Described(found.entry(bytes(16)), found.mark.core, "") for name, found in exported(Notary).items()}
}
SIGN: Final = Grant("notary.sign")
APP: Final = App(
    ui="front:Console",
    enclaves=[Child("keep:Notary", name="notary")],
    extensions=["guest:Plugin"],
    grants={
        "console": ["notary.erase"],
        "plugin": [
            SIGN.where(key="release", data=Longest(4)),
            SIGN.where(key=Matching("test-[0-9]+"), copies=Between(1, 3)).at_most(5, seconds=60),
            SIGN.where(key="ask").approved(),
        ],
    },
)


def explained(caller: str, handler_name: str, *given: str) -> Explanation:
    """Return what `explain` says of a call of the application above."""
    return explain(APP, EXPORTS, caller, handler_name, given)


NO_1, NO_2, NO_3 = "key is not 'release'", "key is not a text that matches 'test-[0-9]+'", "key is not 'ask'"


@pytest.mark.parametrize(
    ("given", "answer", "rule", "found"),
    [
        (("key=release", "data=abcd"), Answer.ALLOWED, 1, ["it fits"]),
        (("key=test-7", "data=abcdefgh"), Answer.ALLOWED, 2, [NO_1, "it fits"]),
        (("key=test-7", "data=a", "copies=4"), Answer.REFUSED, 0, [NO_1, "copies is not from 1 to 3", NO_3]),
        (("key=ask", "data=a"), Answer.APPROVAL, 3, [NO_1, NO_2, "it fits"]),
        (("key=release", "data=hex:0001020304"), Answer.REFUSED, 0, ["data is not at most 4 long", NO_2, NO_3]),
        (("key=release",), Answer.DEPENDS, 0, ["data is not given", NO_2, NO_3]),
        ((), Answer.DEPENDS, 0, ["key is not given"] * 3),
    ],
)
def test_the_first_rule_whose_conditions_hold_decides(
    given: Sequence[str], answer: Answer, rule: int, found: list[str]
) -> None:
    """A17, A26: each rule that was looked at is told with what came of it; defaults count once anything is given."""
    said = explained("plugin", "notary.sign", *given)
    assert (said.answer, said.rule, [each.found for each in said.steps]) == (answer, rule, found)


def test_what_no_rule_grants_is_refused_with_what_to_add() -> None:
    """A18: by default nobody anything; a misspelt name and one that does not exist are told apart, to the operator."""
    assert explained("plugin", "notary.count") == Explanation(
        *("plugin", "notary.count", Answer.REFUSED, 0, "no rule grants it, and nothing is granted by default"),
        'add "notary.count" to the grants of plugin, if the extension is to call it',
    )
    assert "notary exports count, erase, sign" in explained("plugin", "notary.sing").because
    assert "there is no enclave and no host vault" in explained("plugin", "vault.sign").because
    assert explained("plugin", "notary.erase").because.startswith("the handler is marked core=True")
    assert explained("console", "notary.erase").answer is Answer.ALLOWED


@pytest.mark.parametrize("given", ["key", "kee=a", "copies=many", "tags=a", "data=hex:0"])
def test_an_argument_that_does_not_fit_is_told(given: str) -> None:
    """What it takes, or of which type it must be."""
    with pytest.raises(UsageError, match=r"sign takes key: str, data: bytes|this is no "):
        explained("plugin", "notary.sign", given)
    with pytest.raises(UsageError, match="is no member of this application; there are notary, console, plugin"):
        explained("nobody", "notary.sign")


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("7", "key", "7"),
        ("ü", "data", "ü".encode()),
        ("hex:00ff", "data", b"\0\xff"),
        ("-7", "copies", -7),
        ("none", "tags", None),
        ('["a","b"]', "tags", ("a", "b")),
    ],
)
def test_a_word_of_the_command_line_becomes_a_value_of_the_parameters_type(text: str, name: str, value: object) -> None:
    """Octets as text or as hex, a tuple as JSON."""
    kinds: dict[str, TypeSpec] = {each.name: each.kind for each in EXPORTS["notary"]["sign"].entry.parameters}
    assert parsed(text, kinds[name], name) == value


@pytest.mark.parametrize(
    "grant",
    [
        SIGN,
        SIGN.where(key="it's", data=b"\0", copies=OneOf(1, Between(5, 7)), tags=("a", "b")),
        SIGN.where(key=Matching(r"[\w.]+"), data=Longest(3)).at_most(5, seconds=60).approved(),
        SIGN.where(tags=None),
    ],
)
def test_a_grant_is_shown_as_it_is_written(grant: Grant) -> None:
    """The code can be pasted and says the same; the sentence has each part of it."""
    names = {name: getattr(grammar, name) for name in ("Grant", "Matching", "Between", "Longest", "OneOf")}
    made: object = eval(explain_words.code(grant), names)  # noqa: S307  # what is printed is to be pasted
    assert made == (grant.handler if grant.plain else grant)
    said = explain_words.sentence(grant)
    assert all(f"{each.argument} is " in said for each in grant.conditions)
    assert ("at most 5 times in 60 s" in said) is bool(grant.most)
    assert ("approved by the core UI" in said) is grant.approval


# Logs.


def _line(event: str, member: str = "plugin", why: str = "", detail: str = "", told_by: str = "notary") -> Line:
    return Line(time=1.0, event=event, epoch=1, member=member, told_by=told_by, why=why, detail=detail)


def test_a_refusal_of_the_log_is_traced_to_the_rule_that_decided() -> None:
    """The caller, the rule's number and words, what to change; lines that refuse nothing are left out."""
    lines = [
        _line("ring.sealed"),
        _line("call.refused", why="argument key is not the value that the grant names", detail="sign rule 1, 4 so far"),
        _line("call.refused", why="only the core UI may call it", detail="erase rule 0"),
        _line("call.refused", detail="sign rule 9"),
        _line("call.refused", detail="sign rule 1", told_by="files"),
        _line("lease.refused", why="no grant"),
        _line("window.closed", "console", "it loads foreign code"),
        _line("sandbox.denied", "notary", "sign", "it may not read /x; add read=['/x'] to its Sandbox"),
        _line("process.locked"),
        _line("process.locked", why="partial is less than full"),
        *(_line(each) for each in ("uid.refused", "record.refused", "envelope.refused", "sender.refused")),
    ]
    told = [*explain_log.explained(APP, [*enumerate(lines, 1)])]
    assert [each.number for each in told] == [2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14]
    by = {each.number: each for each in told}
    assert (by[2].rule, by[2].where) == (
        "notary.sign where key is 'release', and data is at most 4 long",
        "the grants of plugin, rule 1",
    )
    assert "Grant(\"notary.sign\").where(key='release', data=Longest(4))" in by[2].change
    assert by[3].where == "the handler's @handler(core=True)"
    assert {by[4].rule, by[5].rule} == {"the rule is not in this declaration any more"}
    assert "it is granted notary.sign;" in by[6].rule
    assert by[7].where == "the code of console"
    assert by[8].where == "the sandbox of notary"
    assert all(each.rule and each.where and each.change for each in told)
    assert {each.time for each in told} == {"1970-01-01 00:00:01 UTC"}


def test_a_call_that_waits_and_a_peer_that_is_not_granted_have_their_own_advice() -> None:
    """A26: neither is mended by changing a condition; a time that is none is left out."""
    waits = structs.replace(_line("call.refused", why=WAITS, detail="sign rule 1"), time=1e300)
    why = "notary calls files.read, which is not granted to it"
    ungranted = _line("handler.failed", "console", why, "sign 0a1b notary.py:9")
    first, second = explain_log.explained(APP, [(1, waits), (2, ungranted)])
    assert ("bridge.approve(…)" in first.change, first.time) == (True, "")
    assert (second.where, "App(grants=…)" in second.change) == ("the grants of notary", True)


@pytest.mark.parametrize(
    "detail", [f"sign rule {'9' * 5000}", "sign rule 1000000", "", "sign", f"{'s' * 5000} rule 1", "\x1b[2J\n rule 1"]
)
def test_what_a_line_holds_is_data(detail: str) -> None:
    """Finding 16: a number of any length, texts that no server of ours writes: told as such, short and printable."""
    [told] = explain_log.explained(APP, [(1, _line("call.refused", why=f"\x1b[2J\u202e{'x' * 5000}", detail=detail))])
    assert told.rule.startswith("a server tells which handler")
    assert told.where == "the protocol"
    texts = (told.event, told.member, told.told_by, told.why, told.detail, told.rule, told.where, told.change)
    assert all(each.isprintable() or not each for each in texts)
    assert max(map(len, texts)) <= explain_log.LONGEST_TEXT + 1


def test_whatever_the_broker_or_a_server_refuses_has_its_sentence() -> None:
    """But what is no refusal: a link that has gone, a use that learn mode notes."""
    silent = {NoticeKind.LINK_LOST, NoticeKind.GRANT_USED}
    told = [*explain_log.explained(APP, [*enumerate((_line(each.value) for each in NoticeKind), 1)])]
    assert {each.event for each in told} == {each.value for each in NoticeKind} - silent


def test_a_process_that_failed_was_refused_nothing() -> None:
    """It stands in the log for what it is; no rule of a declaration is behind it."""
    assert [*explain_log.explained(APP, [(1, _line("process.failed"))])] == []
    [said] = explain_events.meanings("process.failed")
    assert (said.rule, bool(said.change)) == ("", True)


# Names of events and errors.


def test_every_event_and_every_error_has_a_meaning_and_what_to_do() -> None:
    """Whatever name a person met in the log or in an exception."""
    for name in EVENTS:
        [said] = explain_events.meanings(name)
        assert (said.name, said.means, said.severity) == (name, EVENTS[name].means, EVENTS[name].severity.name.lower())
        assert said.change
    for event in (each for each in NoticeKind if each.value in explain_log.RULES):
        assert explain_events.meanings(event.value)[0].rule == explain_log.RULES[event.value].says
    ring = explain_events.meanings("ring")
    assert len(ring) > 4
    assert all(each.name.startswith("ring.") for each in ring)
    refused = explain_events.meanings("Refused")[0]
    assert (refused.means, "trollbridge explain" in refused.change) == (str(Refused()), True)
    for name in ("RingDismantled", "ServerLost", "Quarantined", "heartbeat", "outcome", "quarantine", "epoch"):
        said, *_ = explain_events.meanings(name)
        assert (said.name, said.means[-1], bool(said.change)) == (name, ".", True)


@pytest.mark.parametrize(
    ("name", "hint"), [("ring.seald", "ring.sealed"), ("NotGrantd", "NotGranted"), ("\x1b[2J", "")]
)
def test_an_unknown_name_is_told_with_the_nearest(name: str, hint: str) -> None:
    """As data: printable."""
    with pytest.raises(UsageError) as raised:
        explain_events.meanings(name)
    assert hint in str(raised.value)
    assert str(raised.value).isprintable()


# The commands.

_DECLARATION: Final = """
from trollbridge.actors import App, Child
from trollbridge.messages.grants import Grant

app = App(
    ui="front:Console",
    enclaves=[Child("keep:Notary", name="notary")],
    extensions=["guest:Plugin"],
    grants={"console": ["notary.sign"], "plugin": [Grant("notary.reveal").where(key="a"), "notary.reveal"]},
)
"""
_KEEP: Final = """
from trollbridge.actors.handlers import handler
from trollbridge.enclave import EnclaveActor

class Notary(EnclaveActor):
    @handler
    def sign(self, key: str) -> bytes: return key.encode()

    @handler(sensitive=True)
    def reveal(self, key: str) -> bytes: return key.encode()

    @handler
    def lost(self) -> int: return 1
"""
_FRONT: Final = """
from trollbridge.ui_adapter import UiActor
import keep

class Console(UiActor):
    def main(self, bridge): bridge.notary.sign("a").get(timeout=5)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write an application with some things to find."""
    for name, text in (("declared", _DECLARATION), ("keep", _KEEP), ("front", _FRONT)):
        tmp_path.joinpath(f"{name}.py").write_text(text, encoding="utf-8")
    tmp_path.joinpath("guest.py").write_text("raise SystemExit('an extension is not imported')", encoding="utf-8")
    return tmp_path


def test_lint_tells_all_that_it_finds_and_its_exit_code_says_so(folder: Path) -> None:
    """Nothing of an extension is run; an application that is in order has no finding, and the code 0."""
    told = run("lint", "declared:app", "--json", folder=folder)
    assert (told.code, told.said) == (1, [])
    found = msgspec.json.decode(told.output, type=Findings)
    assert found.format == FORMAT
    assert [each.code.value for each in found.findings] == [
        *("grant-open", "handler-uncallable", "grant-unmentioned", "enclave-imported"),
    ]
    clean = run("lint", "declared:vault_terminal")
    assert (clean.code, clean.output, clean.said) == (0, "", [])


def test_explain_answers_for_the_operator(folder: Path) -> None:
    """Which rule, and the exit code says whether the call would pass; of a log each refusal, or one line of it."""
    passes = run("explain", "declared:app", "plugin", "notary.reveal", "key=b", folder=folder)
    assert passes.code == 0
    assert passes.output.splitlines()[0] == "plugin calls notary.reveal: allowed"
    assert "rule 1     notary.reveal where key is 'a': key is not 'a'" in passes.output
    assert run("explain", "declared:app", "nobody", "notary.sign", folder=folder).code == 2
    log = folder / "log"
    log.write_bytes(b"".join(msgspec.json.encode(each) + b"\n" for each in (_line("a"), _line("uid.refused"))))
    told = run("explain", "declared:app", "--log", "log", "2", folder=folder)
    assert (told.code, told.output.splitlines()[0]) == (0, "line 2: uid.refused: plugin, 1970-01-01 00:00:01 UTC")
    assert "  told by      notary" in told.output
    for arguments, key in ((("plugin", "notary.reveal"), "answer"), (("--log", "log"), "refusals")):
        as_json = run("explain", "declared:app", *arguments, "--json", folder=folder)
        found = msgspec.json.decode(as_json.output, type=dict[str, object])
        assert found["format"] == explain_rules.FORMAT
        assert key in found


def test_explain_tells_what_an_event_means(folder: Path) -> None:
    """No application is needed, or imported; as JSON for programs."""
    told = run("explain", "uid.refused", folder=folder)
    head, *lines = told.output.splitlines()
    assert (told.code, head) == (0, "uid.refused (warning)")
    assert [line.split()[0] for line in lines if line[2] != " "] == ["means", "rule", "to"]
    as_json = run("explain", "ring", "--json", folder=folder)
    found = msgspec.json.decode(as_json.output, type=explain_events.Meanings)
    assert {each.name.partition(".")[0] for each in found.meanings} == {"ring"}
    unknown = run("explain", "declared", folder=folder)
    assert (unknown.code, "MODULE:APP" in unknown.said[-1]) == (2, True)
