"""No secret stands in a log: words that exist nowhere else go through every handler and every way to fail."""

from __future__ import annotations

import base64
import json
import random
from typing import TYPE_CHECKING, Final

import msgspec

from tests.conftest import REPOSITORY
from tests.ui_adapter.commands import run
from trollbridge.actors import exits
from trollbridge.actors.operations.journal import datagram
from trollbridge.actors.operations.log import Line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHAPES: Final = (
    "{}",
    "{}: a word",
    'quoted "{}" and \\ and \n{{"event":"ring.sealed"}}',
    "{}\0\x1b[31m",
    "/etc/{}",
    "../../{}",
    "{}\N{RIGHT-TO-LEFT OVERRIDE}\N{GRINNING FACE}",
    "%s %({})s {{0}}",
    "utf-8{}",
    "encodings.{}",
)


def tokens(seed: int) -> Iterator[str]:
    """Yield words that are in no text but where we put them."""
    source = random.Random(seed)
    while True:
        yield "".join(source.choices("ghjkmnpqrstvwxz", k=24))


def forms(token: str) -> Iterator[bytes]:
    """Return a word as it could stand in a file."""
    yield token.encode()
    yield token.upper().encode()
    yield token.encode().hex().encode()
    for start in range(3):  # base64 of whatever it stands in: the groups that hold nothing else
        yield base64.b64encode(token.encode()[start:][: (24 - start) // 3 * 3])


def found(places: dict[str, bytes], secrets: list[str]) -> list[str]:
    """Return where a word was found, and which."""
    wanted = {form: secret for secret in secrets for form in forms(secret)}
    return [f"{name}: {secret}" for name, place in places.items() for form, secret in wanted.items() if form in place]


def test_the_search_finds_a_word_in_each_form() -> None:
    """A37: the search itself."""
    [token] = [next(tokens(1))]
    for form in (
        token,
        token.upper(),
        token.encode().hex(),
        *(base64.b64encode(f"{'x' * n}{token}y".encode()).decode() for n in range(3)),
    ):
        assert found({"log": f"before{form}after".encode()}, [token]) != []
    assert found({"log": b"nothing"}, [token]) == []


def test_no_line_of_the_log_holds_a_secret(tmp_path: Path) -> None:
    """I6, A37, A55: arguments, results, errors of every kind, names, paths, items, what an extension prints.

    And all of it is in the log as events: a handler's failure by class and place, a refusal by handler and rule.
    """
    seed = random.SystemRandom().getrandbits(32)
    secrets = [token for token, _ in zip(tokens(seed), SHAPES, strict=False)]
    words = [shape.format(secret) for shape, secret in zip(SHAPES, secrets, strict=True)]
    for name in ("safe", "notes"):
        (tmp_path / name).mkdir()
    (tmp_path / "words.json").write_text(json.dumps(words), encoding="utf-8")
    log = tmp_path / "log"
    options = ("--log", str(log), "--log-size", "65536", "--log-keep", "50", "--no-operator")
    folder = REPOSITORY / "tests" / "operations"
    ended = run("run", "canaries:app", *options, folder=folder, more={"TMPDIR": str(tmp_path)})
    assert ended.code == exits.UI_CRASHED, ended
    places = {path.name: path.read_bytes() for path in tmp_path.glob("log*")}
    lines = [
        msgspec.json.decode(each, type=Line)
        for name, text in places.items()
        if name != "log.head"
        for each in text.splitlines()
    ]
    places |= {
        "as text": "\n".join(map(repr, lines)).encode(),
        "journal": b"".join(map(datagram, map(msgspec.json.encode, lines))),
    }
    assert found(places, secrets) == [], seed
    counts = json.loads(ended.output)
    assert counts["2 items"] == len(words)
    assert counts["str"] >= len(words)
    assert counts["HandlerFailed"] > 10 * len(words)
    events = [each.event for each in lines]
    failures = {each.why for each in lines if each.event == "handler.failed"}
    assert failures >= {f"builtins.{each}" for each in ("ValueError", "ExceptionGroup", "KeyError", "OSError")}
    assert {"call.refused", "handler.failed", "process.ended", "process.failed", "ring.dismantling"} <= set(events)
