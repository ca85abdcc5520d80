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
from trollbridge.ui_adapter.vault import exit_codes, times

if TYPE_CHECKING:
    from pathlib import Path

CANARY = "sk_live_0123456789canary"


@pytest.fixture(name="safe", scope="module")
def _safe(tmp_path_factory: pytest.TempPathFactory) -> Safe:
    safe = Safe(tmp_path_factory.mktemp("secrets"), cheap=True)
    safe.create()
    return safe


def test_an_api_key_goes_in_by_standard_input_and_comes_out_as_it_was(safe: Safe) -> None:
    """A48: set, get, rename, delete; empty is not missing; missing has a code of its own."""
    for more in ((), ("--replace", "--whole")):  # of a command that has failed
        safe.refuses(exit_codes.WRONG_DATA, "--empty", "secret", "set", "stripe", *more, data=b"")
    safe.must("secret", "set", "stripe", "--empty", data=b"")
    assert safe.must("secret", "get", "stripe").out == b""
    safe.refuses(exit_codes.NOT_FOUND, "already holds", "secret", "set", "stripe", data=b"other")
    made = safe.must(
        *("secret", "set", "stripe", "--replace", "--whole", "--json", "--note", "by Ada"), data=b"\x00\xff\n"
    ).json
    assert (made["name"], made["size"], made["note"]) == ("stripe", 3, "by Ada")
    safe.must("secret", "rename", "stripe", "Stripe (old)")
    out = safe.place / "out"
    safe.must("secret", "get", "Stripe (old)", "-o", str(out))
    assert (out.read_bytes(), out.stat().st_mode & 0o777) == (b"\x00\xff\n", 0o600)
    safe.refuses(exit_codes.NOT_ALLOWED, "--yes confirms it", "secret", "delete", "Stripe (old)")
    safe.must("secret", "delete", "Stripe (old)", "--yes")
    safe.refuses(exit_codes.NOT_FOUND, "no API key of that name", "secret", "get", "Stripe (old)")


def test_a_use_only_key_works_and_never_comes_out(safe: Safe) -> None:
    """A48, K1: HMAC and HTTP signature are made; get and bearer do not bring it out."""
    body = safe.file("body", b'{"amount": 1}')
    safe.must("secret", "set", "hook", "--kind", "hmac", "--use-only", data=CANARY.encode())
    expected = hmac.digest(CANARY.encode(), body.read_bytes(), "sha256")
    assert safe.must("secret", "hmac", "hook", "-", "--encoding", "base64", data=body.read_bytes()).out == (
        base64.b64encode(expected) + b"\n"
    )
    url, header = "https://api.example.org/v1?x=1", "Content-Type: application/json"
    signed = safe.must(
        *("secret", "sign-request", "hook", "POST", url, "-H", header, "--body", str(body), "--created", "1800000000"),
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
    for command in (("get", "hook"), ("bearer", "hook")):
        safe.refuses(exit_codes.NOT_ALLOWED, "", "secret", *command)


def test_the_header_of_one_request_and_the_code_of_now(safe: Safe) -> None:
    """A48: bearer for a token, TOTP for a seed."""
    safe.must("secret", "set", "token", data=CANARY.encode())
    assert safe.must("secret", "bearer", "token").text == f"Authorization: Bearer {CANARY}\n"
    safe.must("secret", "set", "2fa", "--kind", "totp", "--use-only", data=b"JBSWY3DPEHPK3PXP\n")
    code = safe.must("secret", "totp", "2fa", "--json").json
    assert re.fullmatch(r"[0-9]{6}", code["code"])
    assert 0 < code["seconds_left"] <= 30


def test_what_expires_is_told_on_standard_error_and_chosen_with_within(safe: Safe) -> None:
    """Expiry reminders: in the list, and alone for a daily job."""
    safe.must("secret", "set", "soon", "--expires", "20d", data=b"x")
    done = safe.must("secret", "list")
    [listed] = [each for each in safe.must("secret", "list", "--json").json if each["name"] == "soon"]
    assert done.said == ["trollbridge: to be replaced: soon"]
    changed, expires = (times.shown(listed[each]) for each in ("changed", "expires"))  # a day alone if it is midnight
    assert re.search(rf"soon +token +1 +{changed} +{expires} \(in 20 days\)", done.text)
    assert CANARY not in done.text
    for within, names in (("19d", []), ("21d", ["soon"])):
        chosen = safe.must("secret", "list", "--within", within, "--json").json
        assert [each["name"] for each in chosen] == names


def test_constraints_are_changed_one_by_one_and_hold(safe: Safe) -> None:
    """K1: at most n an hour, under another name too, until a date; loosening needs the password, which is at hand."""
    safe.must("secret", "set", "few", "--kind", "hmac", data=b"key")
    limits = ("--per-hour", "1", "--until", "90d", "--member", "command", "--json")
    first = safe.must("secret", "constrain", "few", *limits).json
    assert (first["per_hour"], first["approval"], first["members"]) == (1, False, ["command"])
    assert first["until"] is not None
    safe.must("secret", "hmac", "few", data=b"x")
    safe.must("secret", "rename", "few", "many")
    safe.refuses(exit_codes.NOT_ALLOWED, "", "secret", "hmac", "many", data=b"x")
    told = safe.must("secret", "constrain", "many", "--member", "desk").said
    assert len(told) == 1
    assert "desk; command, which is these commands, may not use it" in told[0]
    loose = safe.must("secret", "constrain", "many", "--per-hour", "0", "--any-member", "--json").json
    assert (loose["per_hour"], loose["until"], loose["members"]) == (0, first["until"], [])
    safe.must("secret", "hmac", "many", data=b"x")


def test_an_approval_shows_what_is_asked_and_lets_one_use_pass(safe: Safe, tmp_path: Path) -> None:
    """K2: on the terminal a person sees operation, key, size, digest and text, and says yes or y."""
    document = tmp_path / "text"
    document.write_text("Pay Ben 100\nand Cleo 200\n", encoding="utf-8")
    content = document.read_bytes()
    safe.must("secret", "set", "asked", "--kind", "hmac", data=b"key")
    safe.must("secret", "constrain", "asked", "--approval")
    command = ("secret", "hmac", "asked", str(document), "--password-file", str(safe.password))
    with safe.on_a_terminal(*command) as dialogue:
        shown = dialogue.hear("[yes/no] ")
        assert f"{len(content)} bytes, SHA-256 {hashlib.sha256(content).hexdigest()}" in shown
        assert re.search(r"begins +Pay Ben 100\r\n +and Cleo 200\r\n", shown)
        assert "asked by   command" in shown
        dialogue.say("y\n")
        dialogue.hear(hmac.digest(b"key", content, "sha256").hex())
        assert dialogue.end() == 0


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
    with safe.on_a_terminal("secret", "set", "typed", "--password-file", str(safe.password)) as dialogue:
        dialogue.hear("--replace")
        assert dialogue.end() == exit_codes.NOT_FOUND
        assert "API key typed" not in dialogue.heard
    with safe.on_a_terminal("secret", "get", "typed", "--password-file", str(safe.password)) as dialogue:
        dialogue.hear(f"{CANARY}\r\n")
        assert dialogue.end() == 0


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


def test_what_is_wrong_with_the_input_has_one_code(safe: Safe) -> None:
    """A48: what a key, a request or a name must be; the line says what it is not."""
    safe.must("secret", "set", "signer", "--kind", "hmac", data=b"key")
    for arguments in (
        ("set", "bad", "--kind", "totp"),
        ("set", "bad", "--kind", "ed25519"),
        ("sign-request", "signer", "GET", "no address"),
        ("sign-request", "signer", "GET", "https://a.example/", "--cover", "x-none"),
    ):
        safe.refuses(exit_codes.WRONG_DATA, "", "secret", *arguments, data=b"!!!")
    for name in ("", " x", "a\nb"):
        assert safe.run("secret", "set", name, data=b"x").code == exit_codes.WRONG_COMMAND


def test_no_command_line_takes_a_key(safe: Safe) -> None:
    """The value is no argument and no option, so it is in no list of processes."""
    assert safe.run("secret", "set", "stripe", CANARY).code == exit_codes.WRONG_COMMAND
    assert safe.run("secret", "set", "stripe", "--value", CANARY).code == exit_codes.WRONG_COMMAND


def test_the_command_itself_refuses_a_vault_whose_password_costs_nothing_to_guess(safe: Safe) -> None:
    """Before it hashes the password (A25): the vault of these tests is reached by `cheaply` alone."""
    shipped = Safe(safe.place)
    assert shipped.command != safe.command
    shipped.refuses(exit_codes.FAILED, "outside the accepted cost", "secret", "list")
