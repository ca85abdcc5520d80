"""`trollbridge secret`: API keys in and out, and used without being shown (A48); what limits them holds (K1, K2)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
from typing import TYPE_CHECKING

import pytest

from tests.ui_adapter.vaults import PASSWORD, Safe
from trollbridge.ui_adapter.vault import exit_codes

if TYPE_CHECKING:
    from pathlib import Path

CANARY = "sk_live_0123456789canary"


@pytest.fixture(name="safe", scope="module")
def _safe(tmp_path_factory: pytest.TempPathFactory) -> Safe:
    safe = Safe(tmp_path_factory.mktemp("secrets"))
    safe.create()
    return safe


def test_an_api_key_goes_in_by_standard_input_and_comes_out_as_it_was(safe: Safe) -> None:
    """A48: set, get, rename, delete; empty is not missing; missing has a code of its own."""
    made = safe.must("secret", "set", "stripe", "--json", "--note", "by Ada", data=f"{CANARY}\n".encode())
    assert (made.json["name"], made.json["size"], made.json["note"]) == ("stripe", len(CANARY), "by Ada")
    assert safe.must("secret", "get", "stripe").out == CANARY.encode()
    safe.refuses(exit_codes.NOT_FOUND, "already holds", "secret", "set", "stripe", data=b"other")
    safe.must("secret", "set", "stripe", "--replace", "--whole", data=b"\x00\xff\n")
    safe.must("secret", "rename", "stripe", "Stripe (old)")
    out = safe.place / "out"
    safe.must("secret", "get", "Stripe (old)", "-o", str(out))
    assert (out.read_bytes(), out.stat().st_mode & 0o777) == (b"\x00\xff\n", 0o600)
    safe.must("secret", "set", "empty", data=b"")
    assert safe.must("secret", "get", "empty").out == b""
    safe.refuses(exit_codes.NOT_ALLOWED, "--yes confirms it", "secret", "delete", "empty")
    safe.must("secret", "delete", "empty", "--yes")
    safe.refuses(exit_codes.NOT_FOUND, "no API key of that name", "secret", "get", "empty")


def test_a_use_only_key_works_and_never_comes_out(safe: Safe) -> None:
    """A48, K1: HMAC and HTTP signature are made; get and bearer do not bring it out, under its new name neither."""
    body = safe.file("body", b'{"amount": 1}')
    safe.must("secret", "set", "hook", "--kind", "hmac", "--use-only", data=CANARY.encode())
    expected = hmac.digest(CANARY.encode(), body.read_bytes(), "sha256")
    assert safe.must("secret", "hmac", "hook", "-", "--encoding", "base64", data=body.read_bytes()).out == (
        base64.b64encode(expected) + b"\n"
    )
    safe.must("secret", "rename", "hook", "hook2")
    url, header = "https://api.example.org/v1?x=1", "Content-Type: application/json"
    signed = safe.must(
        *("secret", "sign-request", "hook2", "POST", url, "-H", header, "--body", str(body), "--created", "1800000000"),
        *("--keyid", "ada", "--expires", "5m", "--json"),
    ).json
    digest = f"sha-256=:{base64.b64encode(hashlib.sha256(body.read_bytes()).digest()).decode()}:"
    parameters = (
        '("@method" "@target-uri" "content-type" "content-digest");created=1800000000;expires=1800000300;keyid="ada"'
    )
    assert (signed["Content-Digest"], signed["Signature-Input"]) == (digest, f"sig1={parameters}")
    base = (
        f'"@method": POST\n"@target-uri": {url}\n"content-type": application/json\n"content-digest": {digest}\n'
        f'"@signature-params": {parameters}'
    )
    made = base64.b64encode(hmac.digest(CANARY.encode(), base.encode(), "sha256")).decode()
    assert signed["Signature"] == f"sig1=:{made}:"
    for command in (("get", "hook2"), ("bearer", "hook2")):
        safe.refuses(exit_codes.NOT_ALLOWED, "", "secret", *command)


def test_the_header_of_one_request_and_the_code_of_now(safe: Safe) -> None:
    """A48: bearer for a token, TOTP for a seed; a seed makes no HMAC."""
    safe.must("secret", "set", "token", data=CANARY.encode())
    assert safe.must("secret", "bearer", "token").text == f"Authorization: Bearer {CANARY}\n"
    safe.must("secret", "set", "2fa", "--kind", "totp", "--use-only", data=b"JBSWY3DPEHPK3PXP\n")
    code = safe.must("secret", "totp", "2fa", "--json").json
    assert re.fullmatch(r"[0-9]{6}", code["code"])
    assert 0 < code["seconds_left"] <= 30
    assert safe.run("secret", "hmac", "2fa", data=b"x").code != 0


def test_what_expires_is_told_on_standard_error_and_chosen_with_within(safe: Safe) -> None:
    """Expiry reminders: in the list, and alone for a daily job."""
    for name, when in (("soon", "20d"), ("later", "90d")):
        safe.must("secret", "set", name, "--expires", when, data=b"x")
    done = safe.must("secret", "list")
    assert done.said == ["trollbridge: to be replaced: soon"]
    assert re.search(r"soon +token +1 +[0-9-]+ [0-9:]+ UTC +[0-9-]+ [0-9:]+ UTC \(in 19 days\)", done.text)
    assert CANARY not in done.text
    chosen = safe.must("secret", "list", "--within", "100d", "--json").json
    assert [each["name"] for each in chosen] == ["later", "soon"]


def test_constraints_are_changed_one_by_one_and_hold(safe: Safe) -> None:
    """K1: at most n an hour, under another name too, until a date; loosening needs the password, which is at hand."""
    safe.must("secret", "set", "few", "--kind", "hmac", data=b"key")
    first = safe.must("secret", "constrain", "few", "--per-hour", "1", "--until", "90d", "--json").json
    assert (first["per_hour"], first["approval"], first["members"]) == (1, False, [])
    assert first["until"] is not None
    safe.must("secret", "hmac", "few", data=b"x")
    safe.must("secret", "rename", "few", "many")
    safe.refuses(exit_codes.NOT_ALLOWED, "", "secret", "hmac", "many", data=b"x")
    loose = safe.must("secret", "constrain", "many", "--per-hour", "0", "--member", "desk", "--json").json
    assert (loose["per_hour"], loose["until"], loose["members"]) == (0, first["until"], ["desk"])
    safe.refuses(exit_codes.NOT_ALLOWED, "", "secret", "hmac", "many", data=b"x")
    safe.must("secret", "constrain", "many", "--any-member")
    safe.must("secret", "hmac", "many", data=b"x")


def test_an_approval_shows_what_is_asked_and_lets_one_use_pass(safe: Safe, tmp_path: Path) -> None:
    """K2: on the terminal a person sees operation, key, size, digest and text; yes is for this once, no for never."""
    document = tmp_path / "text"
    document.write_text("Pay Ben 100\nand Cleo 200\n", encoding="utf-8")
    content = document.read_bytes()
    safe.must("secret", "set", "asked", "--kind", "hmac", data=b"key")
    safe.must("secret", "constrain", "asked", "--approval")
    safe.refuses(exit_codes.NOT_ALLOWED, "no terminal to ask on", "secret", "hmac", "asked", data=content)
    command = ("secret", "hmac", "asked", str(document), "--password-file", str(safe.password))
    for answer, code in (("yes", 0), ("no", exit_codes.NOT_ALLOWED)):
        with safe.on_a_terminal(*command) as dialogue:
            shown = dialogue.hear("[yes/no] ")
            assert f"{len(content)} bytes, SHA-256 {hashlib.sha256(content).hexdigest()}" in shown
            assert re.search(r"begins +Pay Ben 100\r\n +and Cleo 200\r\n", shown)
            assert "asked by   command" in shown
            dialogue.say(f"{answer}\n")
            if code == 0:
                dialogue.hear(hmac.digest(b"key", content, "sha256").hex())
            assert dialogue.end() == code


def test_a_key_is_typed_twice_at_a_terminal_and_not_shown(safe: Safe) -> None:
    """Nothing of it appears, neither in what is echoed nor in the arguments; two different ones are asked for again."""
    with safe.on_a_terminal("secret", "set", "typed", "--password-file", str(safe.password)) as dialogue:
        for first, second in ((CANARY, "else"), (CANARY, CANARY)):
            dialogue.hear("API key typed: ")
            dialogue.say(f"{first}\n")
            dialogue.hear("API key typed, again: ")
            dialogue.say(f"{second}\n")
        dialogue.hear("bytes kept")
        assert dialogue.end() == 0
        assert CANARY not in dialogue.heard
    with safe.on_a_terminal("secret", "get", "typed", "--password-file", str(safe.password)) as dialogue:
        dialogue.hear(f"{CANARY}\r\n")
        assert dialogue.end() == 0
    safe.must("secret", "set", "typed", "--replace", data=b"\x1b[2J")
    with safe.on_a_terminal("secret", "get", "typed", "--password-file", str(safe.password)) as dialogue:
        dialogue.hear("binary")
        assert dialogue.end() == exit_codes.WRONG_COMMAND


def test_a_password_and_a_key_can_share_one_input(safe: Safe) -> None:
    """`--password-file -`: the first line is the password, the rest the key; and a descriptor of the shell's works."""
    done = safe.bare("secret", "set", "both", "--password-file", "-", data=f"{PASSWORD}\n{CANARY}\n".encode())
    assert done.code == 0
    descriptor = os.open(safe.password, os.O_RDONLY)
    try:
        got = safe.bare("secret", "get", "both", "--password-fd", str(descriptor), keep=(descriptor,))
        assert (got.code, got.out) == (0, CANARY.encode())
    finally:
        os.close(descriptor)
    assert safe.bare("secret", "get", "both", "--password-fd", "77").code == exit_codes.WRONG_COMMAND
    assert safe.bare("secret", "get", "both", "--password-fd", "1").code == exit_codes.WRONG_COMMAND


def test_no_command_line_takes_a_key(safe: Safe) -> None:
    """The value is no argument and no option, so it is in no list of processes."""
    assert safe.run("secret", "set", "stripe", CANARY).code == exit_codes.WRONG_COMMAND
    assert safe.run("secret", "set", "stripe", "--value", CANARY).code == exit_codes.WRONG_COMMAND
