"""The generated code of real sessions: what is in it, what it shares with that of others, and what it can do."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from signal import SIGHUP
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pytest

from tests.harness.puppeteer import Backstage, Puppeteer, perform
from tests.stubs import page_acts
from tests.stubs.clerk import FAR, SECRET
from tests.stubs.office import GRANTED
from trollbridge.ui_adapter.page_calls import MOST_REFUSED

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE: Final = Path(__file__).with_name("page.mjs")
NAME: Final = re.compile(r"\bh_[0-9a-f]{32}\b")
DEADLINE: Final = 60.0
"""Seconds that node may take on a busy machine."""


@pytest.fixture(scope="module")
def puppet() -> Iterator[Puppeteer]:
    """Yield a user interface that may have a page."""
    with perform("tests.stubs.office:office") as running:
        running.act(page_acts.new_page)
        yield running


@pytest.fixture(autouse=True)
def _page(puppet: Puppeteer) -> None:
    puppet.act(page_acts.new_page)


def call(name: str, *arguments: object) -> str:
    """Return a page's call."""
    return msgspec.json.encode({"kind": "call", "code": name, "arguments": arguments}).decode()


def play(puppet: Puppeteer, scenes: str, module: Path) -> None:
    """Run scenes of `page.mjs` with a session's module, and carry its messages to the user interface and back."""
    command = ["node", str(PAGE), str(module), scenes]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as page:
        assert page.stdin is not None
        assert page.stdout is not None
        assert page.stderr is not None
        for line in page.stdout:
            if line == b"over\n":
                break
            page.stdin.write(str(puppet.act(page_acts.answer, message=line.decode())).encode() + b"\n")
            page.stdin.flush()
        else:
            raise AssertionError(page.stderr.read().decode())
        assert page.wait(DEADLINE) == 0


def test_the_generated_code_has_what_is_granted_and_nothing_else(puppet: Puppeteer) -> None:
    """A18, A4: one stub for each granted handler, the same bytes on each reading, and no session code in any text."""
    texts: dict[str, str] = puppet.act(page_acts.texts)
    names: dict[str, str] = puppet.act(page_acts.names)
    assert sorted(names) == [f"clerk.{each}" for each in GRANTED]
    assert set(NAME.findall(texts["python"])) == set(NAME.findall(texts["javascript"])) == set(names.values())
    assert all("hide" not in text for text in texts.values())
    assert puppet.act(page_acts.texts) == texts
    codes: dict[str, str] = puppet.act(page_acts.codes)
    assert len(codes) == len(GRANTED)
    assert all(code not in text for code in codes.values() for text in texts.values())


def test_the_generated_python_calls_by_the_sessions_names(puppet: Puppeteer) -> None:
    """A4, A17: the text runs as a module; defaults, records and streams are the bridge's own."""
    assert puppet.act(page_acts.call_python, handler="clerk.secret", arguments=[]) == repr(SECRET)
    assert str(FAR) in puppet.act(page_acts.call_python, handler="clerk.delete", arguments=[])
    assert puppet.act(page_acts.call_python, handler="clerk.count", arguments=[3]) == "[0, 1, 2]"
    found = puppet.act(page_acts.call_python, handler="clerk.promise", arguments=[[[["a", b"b"]]]])
    assert found == "Promise(labels=(Label(text='a', constructor=b'b'),))"


def test_a_page_calls_through_the_generated_javascript(puppet: Puppeteer, tmp_path: Path) -> None:
    """A18: every kind of value both ways, defaults, errors by name, streams that end, are left and fail, under node."""
    module = tmp_path / "session.mjs"
    module.write_text(puppet.act(page_acts.texts)["javascript"], encoding="utf-8")
    play(puppet, "everything,defaults,refusals,streams", module)
    assert puppet.act(page_acts.refused) == 0


def test_what_no_generated_code_sends_is_refused_alike_and_in_the_end_for_good(puppet: Puppeteer) -> None:
    """A11, A26, A56, P5: names of Python's, of the application's and of no session are looked up nowhere else."""
    name = puppet.act(page_acts.names)["clerk.promise"]
    codes: dict[str, str] = puppet.act(page_acts.codes)
    hostile = [
        *map(
            call, ("clerk.promise", "os.system", "h_" + "0" * 32, codes["clerk.promise"], name.upper(), "__class__", "")
        ),
        *("", "null", "{}", '{"kind":"eval","code":"1"}', call(name, None)[:-1], "[" * 100_000, '{"kind":"halt"}'),
        '{"kind":"pull","stream":1,"items":1}',
        call(name, None).replace('"kind"', '"more":1,"kind"'),
    ]
    assert len(hostile) == MOST_REFUSED
    assert "null" in puppet.act(page_acts.answer, message=call(name, None))
    answers = {puppet.act(page_acts.answer, message=each) for each in hostile}
    assert [msgspec.json.decode(each)["name"] for each in answers] == ["Refused"]
    assert puppet.act(page_acts.refused) == MOST_REFUSED
    assert '"Refused"' in puppet.act(page_acts.answer, message=call(name, None))
    puppet.act(page_acts.new_page)
    assert puppet.act(page_acts.answer, message=call(name, None)) == '{"kind":"value","value":null}'
    assert puppet.act(page_acts.answered, message=call(name, None)) == '{"kind":"value","value":null}'
    wrong: tuple[tuple[object, ...], ...] = ((), (None, None), (1,), ({"record": {}},), ({"record": {"labels": 1}},))
    for arguments in wrong:
        answer = msgspec.json.decode(puppet.act(page_acts.answer, message=call(name, *arguments)))
        assert (answer["kind"], answer["name"]) == ("error", "InvalidArguments")
    assert puppet.act(page_acts.refused) == 0


def test_a_page_takes_streams_by_way_of_asyncio_too(puppet: Puppeteer) -> None:
    """Items, progress and the result in one answer; afterwards there is no such stream."""
    opened = msgspec.json.decode(
        puppet.act(page_acts.answered, message=call(puppet.act(page_acts.names)["clerk.count"], 3))
    )
    pull = f'{{"kind":"pull","stream":{opened["stream"]},"items":64}}'
    items: list[int] = []
    answer: dict[str, Any] = {"over": False}
    while not answer["over"]:
        answer = msgspec.json.decode(puppet.act(page_acts.answered, message=pull))
        items += answer["items"]
    assert (items, answer["value"], answer["progress"]["record"]["done"]) == ([0, 1, 2], "counted", 3)
    assert '"Refused"' in puppet.act(page_acts.answered, message=pull)


def test_two_sessions_and_two_runs_share_no_name_and_take_none_of_each_other(puppet: Puppeteer) -> None:
    """A4, A5, A7: another run and another ring have other names, the old ones reach nothing, and the new ones work."""
    sessions: list[dict[str, str]] = [puppet.act(page_acts.names)]
    texts: list[dict[str, str]] = [puppet.act(page_acts.texts)]
    with perform("tests.stubs.office:office") as other:
        for epoch in (1, 2):
            other.await_epoch(epoch)
            sessions.append(other.act(page_acts.names))
            texts.append(other.act(page_acts.texts))
            if epoch == 1:
                other.interrupt(SIGHUP)
        other.act(page_acts.new_page)
        assert [sorted(each) for each in sessions] == [sorted(sessions[0])] * 3
        assert len({name for names in sessions for name in names.values()}) == 3 * len(GRANTED)
        for language in ("python", "javascript"):
            found = [set(NAME.findall(each[language])) for each in texts]
            assert len({name for each in found for name in each}) == sum(map(len, found)) == 3 * len(GRANTED)
        assert len({each["typescript"] for each in texts}) == 1
        for old in sessions[:2]:
            assert '"Refused"' in other.act(page_acts.answer, message=call(old["clerk.promise"], None))
        assert other.act(page_acts.refused) == 2
        right = call(sessions[2]["clerk.promise"], None)
        assert other.act(page_acts.answer, message=right) == '{"kind":"value","value":null}'
        assert other.leave() == 0


def test_an_extension_has_stubs_of_its_own_session_and_gets_sealed_values(tmp_path: Path) -> None:
    """A4, A10, A18: one handler has one name for each client; the UI's name is nothing to the extension's page."""
    with Backstage(tmp_path) as backstage, perform("tests.stubs.office:office", guest=backstage.path) as puppet:
        guest = backstage.next_hand()
        guest.act(page_acts.new_page)
        names: dict[str, str] = guest.act(page_acts.names)
        theirs = puppet.act(page_acts.names)["clerk.secret"]
        assert list(names) == ["clerk.secret"]
        assert names["clerk.secret"] != theirs
        assert "-> Promise[Sealed]:" in guest.act(page_acts.texts)["python"]
        assert '"Refused"' in guest.act(page_acts.answer, message=call(theirs))
        answer = guest.act(page_acts.answer, message=call(names["clerk.secret"]))
        record = msgspec.json.decode(answer)["value"]["record"]
        assert (record["handler"], sorted(record)) == ("clerk.secret", ["ciphertext", "epoch", "handler", "salt"])
        assert SECRET.decode() not in answer
        assert puppet.leave() == 0


def test_a_call_by_a_generated_name_sends_no_more_than_one_by_the_bridge(puppet: Puppeteer) -> None:
    """The cost of the stubs is a look into a table: one item for a call, whichever way it is made."""
    name = puppet.act(page_acts.names)["clerk.promise"]
    assert puppet.act(page_acts.items_sent, name=name) == {"bridge": 1, "name": 1, "page": 1}
