"""The linter: each rule finds what it is for and nothing else; a grant's conditions are compared, never guessed at."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from trollbridge.actors.app import App, Child
from trollbridge.actors.handlers import exported, handler
from trollbridge.actors.hosts.declaring import Files, Programs
from trollbridge.actors.hosts.program import Program
from trollbridge.messages.errors import DeclarationError
from trollbridge.messages.grants import AnyOf, Between, Equals, Grant, Longest, Matching, OneOf, Test, ordered
from trollbridge.ui_adapter import lint, lint_callers, lint_grants, lint_hosts, lint_scopes
from trollbridge.ui_adapter.doctor_scopes import Scope
from trollbridge.ui_adapter.lint_conditions import covers, holds, implies, words
from trollbridge.ui_adapter.lint_finding import Code, Finding
from trollbridge.ui_adapter.lint_sources import LONGEST_CHAIN, LONGEST_SOURCE, MOST_PARTS, Sources
from trollbridge.ui_adapter.manifests import Described

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from trollbridge.ui_adapter.lint_grants import Exports


class Notary:
    """An enclave's handlers."""

    @handler
    def sign(self, key: str, document: bytes, copies: int = 1) -> bytes:
        """Sign."""
        raise NotImplementedError

    @handler(sensitive=True)
    def reveal(self, key: str) -> bytes:
        """Reveal."""
        raise NotImplementedError

    @handler(core=True)
    def erase(self, key: str) -> None:
        """Erase."""
        raise NotImplementedError


ALL: Final = ("notary.sign", "notary.reveal", "notary.erase")


def exports_of(**classes: type) -> Exports:
    """Return what these classes export, under these names."""
    return {
        name: {each: Described(found.entry(bytes(16)), found.mark.core, "") for each, found in exported(actor).items()}
        for name, actor in classes.items()
    }


EXPORTS: Final = exports_of(notary=Notary)


def declared(ui: Sequence[str | Grant] = ALL, extension: Sequence[str | Grant] = ()) -> App:
    """Return an application with the notary, whose UI may call everything unless something else is said."""
    return App(
        ui="front:Console",
        enclaves=[Child("keep:Notary", name="notary")],
        extensions=["guest:Plugin"],
        grants={"console": ui, "plugin": extension},
    )


def found(findings: object) -> list[tuple[Code, str]]:
    """Return the codes and the places."""
    return [(each.code, each.where) for each in findings if isinstance(each, Finding)]  # type: ignore[attr-defined]


# Grants.


@pytest.mark.parametrize(
    ("ui", "extension", "expected"),
    [
        (ALL, (), []),
        (ALL[:2], (), [(Code.HANDLER_UNCALLABLE, "notary.erase")]),
        ((), (), [(Code.HANDLER_UNCALLABLE, "notary")]),
        ((*ALL, "notary.sing"), (), [(Code.GRANT_UNKNOWN, "console, rule 4 (notary.sing)")]),
        (
            (*ALL[1:], Grant("notary.sign").where(kee="a")),
            (),
            [(Code.GRANT_UNKNOWN, "console, rule 3 (notary.sign)")],
        ),
        (
            (*ALL[1:], Grant("notary.sign").where(key=7)),
            (),
            [(Code.GRANT_NEVER_FITS, "console, rule 3 (notary.sign)")],
        ),
        (
            (*ALL, Grant("notary.sign").where(key="a")),
            (),
            [(Code.GRANT_SHADOWED, "console, rule 4 (notary.sign)")],
        ),
        ((Grant("notary.sign").where(key="a"), *ALL), (), []),
        (ALL, ("notary.sign",), []),
        (ALL, ("notary.reveal",), [(Code.GRANT_OPEN, "plugin, rule 1 (notary.reveal)")]),
        (ALL, (Grant("notary.reveal").where(key="a"),), []),
        (ALL, (Grant("notary.reveal").at_most(1, seconds=60),), []),
        (ALL, (Grant("notary.reveal").approved(),), []),
        (ALL, ("notary.erase",), [(Code.GRANT_CORE, "plugin, rule 1 (notary.erase)")]),
    ],
)
def test_each_rule_about_grants_finds_its_own(
    ui: Sequence[str | Grant], extension: Sequence[str | Grant], expected: list[tuple[Code, str]]
) -> None:
    """A26, A41: what nobody may call, what names nothing, what never fits or decides, what an extension may freely."""
    assert found(lint_grants.findings(declared(ui, extension), EXPORTS, {})) == expected


def test_a_finding_is_one_line_with_what_to_change() -> None:
    """The rule, the place, what is wrong, what to change; a misspelt handler is told by its likely name."""
    [finding] = lint_grants.findings(declared((*ALL, "notary.sing")), EXPORTS, {})
    assert finding.line() == (
        "grant-unknown: console, rule 4 (notary.sing): no such handler is exported; perhaps notary.sign is meant"
    )
    assert msgspec.json.decode(msgspec.json.encode(finding)) == {
        "code": "grant-unknown",
        "where": "console, rule 4 (notary.sing)",
        "what": "no such handler is exported",
        "change": "perhaps notary.sign is meant",
    }


def test_replicas_are_one_caller_and_one_server() -> None:
    """Nothing is found twice because there are more processes of it."""
    app = App(
        ui="front:Console",
        enclaves=[Child("keep:Notary", name="notary", replicas=3)],
        grants={"console": ["notary.sign", "notary.none"]},
    )
    assert found(lint_grants.findings(app, EXPORTS, {})) == [
        (Code.GRANT_UNKNOWN, "console, rule 2 (notary.none)"),
        (Code.HANDLER_UNCALLABLE, "notary.erase"),
        (Code.HANDLER_UNCALLABLE, "notary.reveal"),
    ]


def test_of_a_shipped_enclave_unused_handlers_are_no_finding_but_free_use_of_a_key_is() -> None:
    """Nobody can take a handler of ours away; a plug-in with every key of the vault is worth a line (A41)."""
    app = App(
        ui="front:Console",
        enclaves=[Child("trollbridge.enclave.vault:Vault", name="notary", settings={"path": "/v/a.vault"})],
        extensions=["guest:Plugin"],
        grants={"console": ["notary.reveal"], "plugin": ["notary.sign"]},
    )
    assert found(lint_grants.findings(app, EXPORTS, {})) == [(Code.GRANT_OPEN, "plugin, rule 1 (notary.sign)")]


def test_free_use_of_a_host_is_a_finding_if_it_reaches_anything() -> None:
    """What it reaches is told, from its sandbox; one that reaches nothing is judged as an enclave is (A16)."""
    host = App(ui="front:Console", hosts=[Child("keep:Notary", name="notary")], extensions=["guest:Plugin"],
               grants={"plugin": [*ALL]})  # fmt: skip
    scopes = [_scope("notary", "host", read=["/srv"]), _scope("plugin", "extension")]
    reaching = lint_scopes.reaching([structs.replace(scopes[0], exec=("/bin/true",), network=("unix",)), scopes[1]])
    assert reaching == {"notary": "reads files, starts programs, uses the network"}
    for says, rules in ((reaching, [1, 2]), ({}, [2])):
        core, *open_ = [each for each in lint_grants.findings(host, EXPORTS, says) if each.where.startswith("plugin")]
        assert (core.code, core.where) == (Code.GRANT_CORE, "plugin, rule 3 (notary.erase)")
        assert [each.where.partition(" (")[0] for each in open_] == [f"plugin, rule {number}" for number in rules]
        assert all(each.code is Code.GRANT_OPEN for each in open_)
        assert ("its host reads files" if says else "its result is sensitive") in open_[-1].what


def test_what_a_run_has_not_used_is_named() -> None:
    """By what learn mode has written into the log; each handler once, however many rules it has."""
    app = declared((*ALL, Grant("notary.erase").where(key="a")), ["notary.sign"])
    used = {("console", "notary.sign"), ("plugin", "notary.sign"), ("console", "notary.reveal")}
    assert found(lint_grants.unused(app, used)) == [(Code.GRANT_UNUSED, "console, rule 3 (notary.erase)")]
    ring = App(
        ui="front:Console",
        enclaves=[Child("keep:Notary", name="notary"), Child("keep:Clerk", name="clerk", replicas=2)],
        grants={"clerk": ["notary.sign"]},
    )
    assert found(lint_grants.unused(ring, {("clerk_2", "notary.sign")})) == []


# Conditions.

_TEXTS: Final = st.text("ab", max_size=3)
_NUMBERS: Final = st.integers(-3, 3)
_TESTS: Final[st.SearchStrategy[Test]] = st.recursive(
    st.one_of(
        (_TEXTS | _NUMBERS | st.binary(max_size=2)).map(lambda value: Equals(ordered(value))),
        st.sampled_from([Matching("a*"), Matching("[ab]"), Matching("b+")]),
        st.tuples(_NUMBERS, _NUMBERS).map(lambda pair: Between(min(pair), max(pair))),
        st.integers(0, 3).map(Longest),
    ),
    lambda tests: st.lists(tests, min_size=1, max_size=3).map(lambda found: AnyOf(tuple(found))),
    max_leaves=4,
)
_VALUES: Final = _TEXTS | _NUMBERS | st.binary(max_size=3) | st.booleans() | st.lists(_NUMBERS, max_size=4)


@given(_TESTS, _TESTS, _VALUES)
def test_what_follows_from_a_condition_holds_whenever_it_does(narrow: Test, wide: Test, value: object) -> None:
    """The comparison may miss that one condition follows from another, and never claims it wrongly."""
    if implies(narrow, wide) and holds(narrow, value):
        assert holds(wide, value)


def test_a_later_grant_is_covered_argument_by_argument() -> None:
    """The earlier one's conditions must all follow; rates and approval do not make it let a call go by."""
    sign = Grant("notary.sign")
    narrow = sign.where(key=OneOf("a", "b"), copies=Between(1, 2))
    assert covers(sign.at_most(1, seconds=1).approved(), narrow)
    assert covers(sign.where(key=Matching("[a-z]")), narrow)
    assert covers(sign.where(copies=Between(0, 9)), narrow)
    assert not covers(sign.where(document=Longest(9)), narrow)
    assert not covers(sign.where(key=OneOf("a", "c")), narrow)
    assert not covers(Grant("notary.reveal"), narrow)
    assert covers(sign.where(document=Longest(9)), sign.where(document=b"12345"))


def test_conditions_read_as_the_end_of_a_sentence() -> None:
    """`key is …`."""
    said = [words(each) for each in (OneOf("a", 7), Matching("x+"), Between(1, 2), Longest(3))]
    assert said == ["'a' or 7", "a text that matches 'x+'", "from 1 to 2", "at most 3 long"]


# What callers' code says.


def _modules(folder: Path, **texts: str) -> Sources:
    for name, text in texts.items():
        path = folder.joinpath(*name.split("__")).with_suffix(".py")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return Sources((str(folder),))


@pytest.mark.parametrize(
    ("texts", "way"),
    [
        ({"front": "import keep"}, "front → keep"),
        ({"front": "def late():\n    from keep import Notary"}, "front → keep"),
        ({"front": "import middle", "middle": "import keep"}, "front → middle → keep"),
        ({"front": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import keep"}, ""),
        ({"front": "import json"}, ""),
        ({"front": "import trollbridge.enclave.vault"}, "front → trollbridge.enclave"),
        ({"guest": "import keep"}, "guest → keep"),
        ({"guest": "raise SystemExit('this code is never run'"}, ""),
    ],
)
def test_an_enclave_that_a_caller_imports_is_pointed_at(tmp_path: Path, texts: dict[str, str], way: str) -> None:
    """The way there is told; imports that only type checkers see do not count, and no caller's code is run (A57)."""
    sources = _modules(tmp_path, **{"keep": "", "front": "", "guest": "", **texts})
    findings = [*lint_callers.findings(declared(), sources)]
    assert [each.what.rpartition(": ")[2] for each in findings] == ([way] if way else [])
    assert all(each.code is Code.ENCLAVE_IMPORTED for each in findings)


def test_one_module_for_both_is_pointed_at(tmp_path: Path) -> None:
    """A UI beside its enclave: the UI's process has the enclave's code."""
    app = App(ui="both:Console", enclaves=[Child("both:Notary", name="notary")], grants={"console": ["notary.sign"]})
    [finding] = lint_callers.findings(app, _modules(tmp_path, both=""))
    assert finding.what == "the enclave notary is defined in its module, both"


@pytest.mark.parametrize(
    ("text", "unmentioned"),
    [
        ("class Console:\n    def main(self, bridge): bridge.notary.sign(b'')", True),
        ("class Console:\n    def main(self, bridge): bridge.notary.reveal(b'')", False),
        ("class Console:\n    def main(self, bridge): getattr(bridge.notary, 'reveal')(b'')", False),
        ("class Console:\n    def main(self, bridge, name): getattr(bridge.notary, name)(b'')", False),
        ("NAMES = ('notary.reveal',)", False),
        ("from trollbridge.actors import App\napp = App(grants={'console': ['notary.reveal']})", True),
        ("import package.deep", False),
        ("this is no Python", False),
    ],
)
def test_a_handler_that_the_caller_never_names_is_guessed_to_be_unused(
    tmp_path: Path, text: str, *, unmentioned: bool
) -> None:
    """Read from the source; where names are put together, nothing is claimed; a declaration does not count as use."""
    sources = _modules(tmp_path, front=text, package____init__="", package__deep="from . import other\nx.reveal()")
    expected = [(Code.GRANT_UNMENTIONED, "console, rule 1 (notary.reveal)")] if unmentioned else []
    assert found(lint_callers.unmentioned(declared(["notary.reveal"]), sources)) == expected


def test_a_call_of_a_peer_that_is_not_granted_is_found(tmp_path: Path) -> None:
    """A26: by `self.peers.member.handler` in the server's own class and what it loads; another actor's is its own."""
    keep = "import deep\nclass Clerk:\n  def go(self): self.peers.notary.sign(b'').get(); self.peers.notary.erase\n"
    keep += "class Notary:\n  def go(self): self.peers.clerk.go()\n"
    sources = _modules(tmp_path, keep=keep, deep="def aid(self): self.peers.files.read('x')")
    clerk, notary = Child("keep:Clerk", replicas=2), Child("keep:Notary")
    app = App(ui="front:Console", enclaves=[clerk, notary], grants={"clerk": ["notary.sign"]})
    calls = ("clerk", "notary.erase"), ("clerk", "files.read"), ("notary", "clerk.go"), ("notary", "files.read")
    missing = [*lint_callers.missing(app, sources)]
    assert {(each.where, each.what.split("peers.")[1].split(",")[0]) for each in missing} == {*calls}
    assert {each.code for each in missing} == {Code.GRANT_MISSING}
    assert len(missing) == len(calls)


@pytest.mark.parametrize(
    "text",
    [
        f"x = {'-' * 700}1",
        f"x = {'-' * 100_000}1",
        f"import {'.'.join(['a'] * 1_000)}",
        f"from {'a' * 50_000} import {', '.join('bcdefgh' * 10_000)}",
        f"#{' ' * LONGEST_SOURCE}",
        "x = " + "9" * 5000,
    ],
)
def test_source_that_is_made_to_stop_the_linter_costs_what_it_would_tell(tmp_path: Path, text: str) -> None:
    """Finding 15: too deep to walk or to parse, names that grow with their square, too long: nothing is claimed."""
    sources = _modules(tmp_path, guest=text, front="import keep", keep="")
    app = declared(["notary.reveal"], ["notary.reveal"])
    assert found(lint_callers.findings(app, sources)) == [(Code.ENCLAVE_IMPORTED, "console")]
    unmentioned = found(lint_callers.unmentioned(app, sources))
    assert unmentioned[0] == (Code.GRANT_UNMENTIONED, "console, rule 1 (notary.reveal)")
    assert len(sources.reached("guest")) <= MOST_PARTS + 1


def test_a_name_that_the_parser_would_take_minutes_for_is_not_parsed(tmp_path: Path) -> None:
    """Finding 15: it takes time with the square of the number of parts, so they are counted before."""
    parts = ["a"] * LONGEST_CHAIN
    across = " \\\n.".join(["x", *parts, "b"])
    sources = _modules(tmp_path, guest=f"import {' . '.join(parts)}", front=f"x = {across}")
    assert sources.read("guest") is not None
    assert sources.read("front") is None


def test_a_finding_steers_no_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file's name is whoever's made it: what is told of it is printable, and can be written as JSON."""
    folder = os.fsencode(tmp_path / "srv")
    os.mkdir(folder)  # noqa: PTH102  # a name that is no text
    for name in (b"\x1b]0;x\x07.vault", b"\xff.kdbx"):
        with open(folder + b"/" + name, "wb"):  # noqa: PTH123
            pass
    monkeypatch.setattr(lint, "application_folders", tuple[str, ...])
    scope = _scope("files", "host", read=[str(tmp_path / "srv")])
    [secret] = [each for each in lint.findings(declared(), EXPORTS, [scope]) if each.code is Code.SCOPE_SECRET]
    assert secret.line().isprintable()
    assert msgspec.json.encode(secret)


# Scopes.


def _scope(member: str, role: str, *, read: Sequence[str] = (), write: Sequence[str] = ()) -> Scope:
    return Scope(member, role, "full", declared=True, read=tuple(read), write=tuple(write))


def test_a_scope_that_reaches_where_secrets_are_kept_is_pointed_at(tmp_path: Path) -> None:
    """A49: another enclave's own folder, the places that everybody knows, a file that is called so; not one's own."""
    home, vault = tmp_path / "home", tmp_path / "vault"
    for each in (home / "project" / "deep", home / "clean", vault):
        each.mkdir(parents=True)
    (home / "project" / "deep" / ".env").touch()
    keeper = _scope("vault", "enclave", write=[f"{vault}/"])
    cases: list[tuple[Scope, Sequence[str], list[str]]] = [
        (_scope("vault2", "enclave", read=[str(tmp_path)]), (), ["the enclave vault keeps", "~/.ssh"]),
        (_scope("files", "host", read=[str(vault / "a.vault")]), (), ["the enclave vault keeps", "a.vault"]),
        (_scope("plugin", "extension", read=[f"{home}/.ssh/config"]), (), ["~/.ssh"]),
        (_scope("plugin", "extension", read=["/etc/ssh"]), (), ["/etc/ssh"]),
        (_scope("files", "host", write=[f"{home}/project"]), (), ["deep/.env"]),
        (_scope("files", "host", write=[f"{home}/project"]), ("files",), []),
        (_scope("files", "host", write=[f"{home}/clean", "/nonexistent"]), (), []),
    ]
    for scope, hiding, expected in cases:
        findings = [*lint_scopes.findings([keeper, scope], str(home), {}, hiding)]
        assert [each.code for each in findings] == [Code.SCOPE_SECRET] * len(expected), scope
        assert all(each.what.endswith(text) for each, text in zip(findings, expected, strict=True)), findings
    assert found(lint_scopes.findings([keeper], str(home), {})) == []
    open_ui = Scope("ui", "ui", "full", declared=False)
    assert found(lint_scopes.findings([open_ui], str(home), {})) == []


def test_the_whole_home_and_the_applications_code_are_pointed_at(tmp_path: Path) -> None:
    """A folder of everybody's, and one that the next start loads code from."""
    wide = _scope("files", "host", read=[str(tmp_path)])
    assert (Code.SCOPE_WIDE, "files") in found(lint_scopes.findings([wide], str(tmp_path), {}))
    code = {str(tmp_path / "app" / "front.py"): "the code of front"}
    scope = _scope("files", "host", write=[str(tmp_path / "app")])
    [finding] = lint_scopes.findings([scope], "/nonexistent", code)
    assert (finding.code, finding.what) == (Code.SCOPE_CODE, f"write=['{tmp_path}/app'] holds the code of front")


@pytest.mark.parametrize(
    ("path", "row", "open_to"),
    [
        ("/usr/bin/git", ("status",), ""),
        ("/usr/bin/git", ("log", Matching(r"[a-z0-9/]+")), ""),
        ("/usr/bin/git", ("log", Matching(r".*")), "lets any argument pass: '.*'"),
        ("/usr/bin/python3.11", (Matching(r"[a-z]+\.py"),), "lets a caller choose what /usr/bin/python3.11 runs"),
        ("/usr/bin/python3.11", ("/srv/report.py", Matching(r"[a-z]+")), ""),
    ],
)
def test_a_program_that_takes_anything_is_pointed_at(path: str, row: tuple[object, ...], open_to: str) -> None:
    """A16: a pattern that lets everything pass is none; an interpreter runs what it is given."""
    app = App(ui="front:Console", hosts=[Programs({"tool": Program(path, args=[row])}), Files(read=["/srv"])])
    findings = [*lint_hosts.findings(app)]
    assert [each.what for each in findings] == ([f"alternative 1 {open_to}"] if open_to else [])
    assert [lint_hosts.hides(child) for child, _ in app.children] == [False, True, False]


# The log.


def test_only_the_log_of_learn_mode_tells_what_was_used(tmp_path: Path) -> None:
    """A log without it is refused in one sentence, as is what is no log at all."""
    log = tmp_path / "log"
    line = '{"time":1.0,"event":"grant.used","epoch":1,"member":"console","told_by":"broker","detail":"notary.sign"}\n'
    log.write_text(line, encoding="ascii")
    assert lint.used_in(str(log)) == {("console", "notary.sign")}
    for other in (line.replace("grant.used", "ring.sealed"), line.replace("broker", "notary")):
        log.write_text(other, encoding="ascii")
        with pytest.raises(DeclarationError, match="run --learn --log"):
            lint.used_in(str(log))
    for wrong in (b"no log", b'{"x":' + b"[" * 100_000, line.encode().replace(b"notary", b"\xff")):
        log.write_bytes(wrong + b"\n")
        with pytest.raises(DeclarationError, match="is no log"):
            lint.used_in(str(log))
    with pytest.raises(DeclarationError, match="No such file"):
        lint.used_in(str(tmp_path / "none"))
