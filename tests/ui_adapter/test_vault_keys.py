"""`trollbridge key`: making, exchanging, changing, limiting and deleting OpenPGP keys (A24, A28)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.enclave.gnupg import GnuPG
from tests.ui_adapter.vaults import Safe
from trollbridge.ui_adapter.vault import exit_codes

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY_PASSWORD = b"the key's own"


@pytest.fixture(name="safe", scope="module")
def _safe(tmp_path_factory: pytest.TempPathFactory) -> Safe:
    safe = Safe(tmp_path_factory.mktemp("keys"), cheap=True)
    safe.create()
    return safe


@pytest.fixture(name="gnupg", scope="module")
def _gnupg(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GnuPG]:
    gnupg = GnuPG(tmp_path_factory.mktemp("g"))
    yield gnupg
    gnupg.close()


def test_a_key_is_made_listed_shown_and_exported(safe: Safe, gnupg: GnuPG) -> None:
    """A24, A28: the command shows public parts only; gpg takes the certificate."""
    made = safe.must("key", "generate", "Ben <ben@example.org>", "--compat", "--expires", "2y", "--json").json
    assert (made["user_ids"], made["secret"], made["trust"]) == (["Ben <ben@example.org>"], True, "own")
    assert made["expires"] - made["created"] == pytest.approx(2 * 365 * 86_400, abs=3600)
    assert "Ben <ben@example.org>" in safe.must("key", "list", "--secret").text
    shown = safe.must("key", "show", made["fingerprint"][-16:]).text
    assert f"fingerprint  {made['fingerprint']}" in shown
    assert "constraint   none" in shown
    out = safe.place / "ben.asc"
    safe.must("key", "export", "ben@example.org", "-o", str(out))
    assert out.read_bytes().startswith(b"-----BEGIN PGP PUBLIC KEY BLOCK-----")
    gnupg.out("--import", data=out.read_bytes())
    assert made["fingerprint"].upper() in gnupg.out("--with-colons", "-k", "ben@example.org").decode()
    safe.refuses(exit_codes.WRONG_DATA, "", "key", "import", data=b"\x00junk")
    assert safe.run("key", "generate", "Eve", "--compat", "--profile", "pq").code == exit_codes.WRONG_COMMAND


def test_a_strangers_key_of_a_known_name_is_not_taken_for_it(safe: Safe, gnupg: GnuPG) -> None:
    """A31: of two of one name the trusted one is meant; to a name that only one has it goes with a word about it."""
    known, hostile = (gnupg.new_key(name) for name in ("Hugo <hugo@example.org>", "Hugo! <hugo@example.org>"))
    safe.must("key", "import", data=gnupg.certificate(known))
    first = safe.must("encrypt", "-r", "hugo@example.org", data=b"text")
    assert first.said == [f"trollbridge: hugo@example.org: {known}, whose certificate nobody has vouched for"]
    assert gnupg.out("--decrypt", data=first.out) == b"text"
    safe.must("key", "import", data=gnupg.certificate(hostile))
    safe.refuses(exit_codes.NOT_FOUND, hostile, "encrypt", "-r", "hugo@example.org", data=b"text")
    safe.must("key", "trust", known)
    assert safe.must("encrypt", "-r", "hugo@example.org", data=b"text").said == []


def test_secret_keys_come_from_gpg_and_go_to_gpg_under_a_password(safe: Safe, gnupg: GnuPG) -> None:
    """A23: imported unprotected, exported protected by a password of its own, deleted, taken back."""
    gerda = gnupg.new_key("Gerda <gerda@example.org>")
    safe.must("key", "import", data=gnupg.out("--export-secret-keys", gerda))
    text, signature = safe.file("text", b"text"), safe.place / "signature"
    safe.must("sign", "-u", gerda, str(text), "-o", str(signature))
    assert gnupg.run("--verify", str(signature), str(text)).returncode == 0
    words, wrong = safe.file("words", KEY_PASSWORD + b"\n"), safe.file("wrong", b"wrong\n")
    exported = safe.must("key", "export", gerda, "--secret", "--own-password-file", str(words)).out
    assert exported.startswith(b"-----BEGIN PGP PRIVATE KEY BLOCK-----")
    safe.must("key", "delete", gerda, "--yes")
    safe.refuses(exit_codes.WRONG_PASSWORD, "", "key", "import", "--own-password-file", str(wrong), data=exported)
    taken = safe.must("key", "import", "--own-password-file", str(words), "--json", data=exported).json
    assert [(each["fingerprint"], each["secret"]) for each in taken] == [(gerda, True)]


def test_a_key_may_have_a_password_of_its_own(safe: Safe) -> None:
    """The vault's password alone does not use it; on a terminal it is asked for; and it can be taken away."""
    words = safe.file("own", KEY_PASSWORD + b"\n")
    key = safe.must("key", "generate", "Cleo <cleo@example.org>", "--json").json["fingerprint"]
    safe.must("key", "password", key, "--own-password-file", str(words))
    safe.refuses(exit_codes.WRONG_PASSWORD, "--key-password-file", "sign", "-u", key, data=b"text")
    document = safe.file("document", b"text")
    command = ("sign", "-u", key, str(document), "--password-file", str(safe.password))
    with safe.on_a_terminal(*command) as dialogue:
        dialogue.hear("Password of the key Cleo <cleo@example.org>: ")
        dialogue.say(f"{KEY_PASSWORD.decode()}\n")
        dialogue.hear("-----END PGP SIGNATURE-----")
        assert dialogue.end() == 0
    message = safe.must("encrypt", "-r", key, data=b"for Cleo").out
    assert safe.must("decrypt", "--key-password-file", str(words), data=message).out == b"for Cleo"
    safe.must("key", "password", key, "--remove", "--key-password-file", str(words))
    assert not safe.must("key", "show", key, "--json").json["key"]["own_password"]


def test_user_ids_expiry_and_revocation_change_the_certificate(safe: Safe, gnupg: GnuPG) -> None:
    """Each is there in the next export; a revoked key signs no more, and gpg holds it for revoked."""
    key = safe.must("key", "generate", "Dora <dora@example.org>", "--json").json["fingerprint"]
    more = "Dora at work <dora@work.example>"
    assert more in safe.must("key", "add-user-id", key, more, "--json").json["user_ids"]
    assert more not in safe.must("key", "revoke-user-id", key, more, "--json").json["user_ids"]
    assert safe.must("key", "expire", key, "2099-12-31", "--json").json["expires"] == 4_102_358_400
    gnupg.out("--import", data=safe.must("key", "export", key).out)
    revocation = safe.must("key", "revocation", key).out
    assert b"revocation certificate imported" in gnupg.run("--import", data=revocation).stderr
    assert b"pub:r:" in gnupg.out("--with-colons", "-k", key)
    assert safe.must("key", "revoke", key, "--yes", "--json").json["revoked"]
    safe.refuses(exit_codes.KEY_UNUSABLE, "revoked", "sign", "-u", key, data=b"text")


def test_constraints_hold_for_every_command(safe: Safe) -> None:
    """K1: at most once an hour, for signing and for decrypting alike; lifted with the password.

    K2: what is to be signed stands on the terminal, with who asks; one yes is one signature.
    """
    key = safe.must("key", "generate", "Finn <finn@example.org>", "--json").json["fingerprint"]
    message = safe.must("encrypt", "-r", key, data=b"text").out
    safe.must("key", "constrain", key, "--per-hour", "1")
    safe.must("sign", "-u", key, data=b"text")
    safe.refuses(exit_codes.NOT_ALLOWED, "", "decrypt", data=message)
    safe.must("key", "constrain", key, "--per-hour", "0", "--approval")
    document = safe.file("contract", b"I owe Ben nothing.\n")
    safe.refuses(exit_codes.NOT_ALLOWED, "no terminal", "decrypt", data=message)
    with safe.on_a_terminal("sign", "-u", key, str(document), "--password-file", str(safe.password)) as dialogue:
        shown = dialogue.hear("[yes/no] ")
        assert "I owe Ben nothing." in shown
        assert key in shown
        dialogue.say("yes\n")
        dialogue.hear("-----END PGP SIGNATURE-----")
        assert dialogue.end() == 0
    with safe.on_a_terminal("sign", "-u", key, str(document), "--password-file", str(safe.password)) as dialogue:
        dialogue.hear("[yes/no] ")
        dialogue.say("\n")
        dialogue.hear("refused")
        assert dialogue.end() == exit_codes.NOT_ALLOWED
        assert "BEGIN PGP" not in dialogue.heard
