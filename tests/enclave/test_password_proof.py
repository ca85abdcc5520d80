"""The password proof: SCRAM's own vector, and both halves of each claim about what travels and what is stored."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import base64
import hashlib
import inspect
import unicodedata
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from nacl.pwhash import argon2id

from tests.enclave.cheap import CHEAP
from trollbridge.enclave import header as headers
from trollbridge.enclave import layers, passwords
from trollbridge.messages import labels
from trollbridge.messages import password as pw
from trollbridge.messages.errors import AuthenticationFailed, VaultCorrupt, WrongPassword
from trollbridge.messages.secret import Secret
from trollbridge.messages.vault import PASSWORD_ONLY, RECOVERY, TWO_LAYERS, Challenge, PasswordParameters, Proof

if TYPE_CHECKING:
    from trollbridge.enclave.header import Header

KEY = bytes(range(50, 82))
VAULT = bytes(range(16))
PASSWORDS = st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=40)


def header_of(secret: str) -> Header:
    """Return the header of a new vault with a cheap hash, whose key is `KEY`."""
    verifier = pw.new_verifier(secret, CHEAP)
    return headers.lay(VAULT, PASSWORD_ONLY, 1, key=Secret.of(KEY), verifier=verifier, root=None)


def issued(challenges: passwords.Challenges, header: Header) -> Challenge:
    """Return a fresh challenge for a vault."""
    return challenges.issue(header.vault, header.salt, header.parameters, header.mode)


def challenge_of(header: Header) -> Challenge:
    """Return a fresh challenge."""
    return issued(passwords.Challenges(lambda: 0.0), header)


class Unwrapped(NamedTuple):
    """What a right proof yields."""

    key: bytes
    server_signature: bytes


def unwrap(header: Header, challenge: Challenge, proof: Proof) -> Unwrapped:
    """Judge a proof, and open what it opens, as `layers` does."""
    answer = passwords.judged(headers.stored_key(header, None), challenge, proof)
    unwrapped = headers.unwrap(header, answer.client_key, None)
    try:
        signature = pw.mac(bytes(unwrapped.server_key.view), answer.message)
        return Unwrapped(bytes(unwrapped.key.view), signature)
    finally:
        unwrapped.drop()


def test_the_computations_are_those_of_scram() -> None:
    """The exchange of RFC 7677, section 3, comes out to the byte, from SaltedPassword on (A25)."""
    salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
    client_key, server_key = pw.client_and_server_key(hashlib.pbkdf2_hmac("sha256", b"pencil", salt, 4096))
    nonces = b"rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    message = b"n=user,r=rOprNGfwEbeRWgbNEkqO,r=" + nonces + b",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=" + nonces
    assert base64.b64encode(pw.client_proof(client_key, message)) == b"dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    assert base64.b64encode(pw.mac(server_key, message)) == b"6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def test_the_hash_is_argon2id() -> None:
    """An independent implementation computes the same keys from the same password, salt and parameters (A25)."""
    made = pw.new_verifier("correct horse", PasswordParameters(8192, 3, 1))
    salted = argon2id.kdf(32, b"correct horse", made.salt, opslimit=3, memlimit=8192 << 10)
    assert (made.client_key, made.server_key) == pw.client_and_server_key(salted)


@given(secret=PASSWORDS)
def test_the_right_password_opens_and_the_vault_proves_itself(secret: str) -> None:
    """The proof yields the vault key that was wrapped, and the server's signature that the client expects (A25)."""
    header = header_of(secret)
    challenge = challenge_of(header)
    attempt = pw.attempt(secret, challenge, CHEAP)
    unwrapped = unwrap(header, challenge, attempt.proof)
    assert unwrapped.key == KEY
    attempt.confirm(unwrapped.server_signature)
    with pytest.raises(AuthenticationFailed):
        attempt.confirm(bytes(32))


@given(secret=PASSWORDS, other=PASSWORDS)
def test_another_password_does_not_open(secret: str, other: str) -> None:
    """Unless both prepare to the same string (A25)."""
    assume(pw.prepare(secret) != pw.prepare(other))
    header = header_of(secret)
    challenge = challenge_of(header)
    with pytest.raises(WrongPassword):
        unwrap(header, challenge, pw.prove(other, challenge, CHEAP))


@given(st.integers(0, 31), st.integers(1, 255))
def test_any_changed_proof_is_a_wrong_password(place: int, change: int) -> None:
    """A byte of the proof or of the client's nonce changed, a size changed (A25)."""
    header = header_of("secret")
    challenge = challenge_of(header)
    proof = pw.prove("secret", challenge, CHEAP)

    def changed(value: bytes) -> bytes:
        return value[:place] + bytes([value[place] ^ change]) + value[place + 1 :]

    for other in (
        msgspec.structs.replace(proof, proof=changed(proof.proof)),
        msgspec.structs.replace(proof, client_nonce=changed(proof.client_nonce)),
        msgspec.structs.replace(proof, proof=proof.proof[:place]),
        msgspec.structs.replace(proof, client_nonce=b""),
    ):
        with pytest.raises(WrongPassword):
            unwrap(header, challenge, other)


def test_a_proof_answers_one_challenge_once() -> None:
    """Replayed, under another nonce, after too long or too many, it is the same wrong password as any (A25, F1)."""
    now = [0.0]
    header = header_of("secret")
    challenges = passwords.Challenges(lambda: now[0])
    first, second = issued(challenges, header), issued(challenges, header)
    proof = pw.prove("secret", first, CHEAP)
    unwrap(header, challenges.take(proof.nonce, header.salt, PASSWORD_ONLY), proof)

    sentences: set[str] = set()
    with pytest.raises(WrongPassword) as used:
        challenges.take(first.nonce, header.salt, PASSWORD_ONLY)
    sentences.add(str(used.value))
    with pytest.raises(WrongPassword) as replayed:
        unwrap(header, second, msgspec.structs.replace(proof, nonce=second.nonce))
    sentences.add(str(replayed.value))
    now[0] += passwords.CHALLENGE_SECONDS + 1
    with pytest.raises(WrongPassword) as stale:
        challenges.take(second.nonce, header.salt, PASSWORD_ONLY)
    sentences.add(str(stale.value))
    with pytest.raises(WrongPassword) as unknown:
        challenges.take(bytes(32), header.salt, PASSWORD_ONLY)
    sentences.add(str(unknown.value))
    assert len(sentences) == 1


def test_a_flood_of_challenges_stays_bounded() -> None:
    """The newest can be answered, the oldest is void, and no more are kept than that (P3)."""
    header = header_of("secret")
    challenges = passwords.Challenges(lambda: 0.0)
    found = [issued(challenges, header) for _ in range(10 * passwords.CHALLENGES)]
    assert len({each.nonce for each in found}) == len(found)
    assert len(challenges._open) == passwords.CHALLENGES
    with pytest.raises(WrongPassword):
        challenges.take(found[0].nonce, header.salt, PASSWORD_ONLY)
    assert challenges.take(found[-1].nonce, header.salt, PASSWORD_ONLY) == found[-1]
    challenges.void()
    with pytest.raises(WrongPassword):
        challenges.take(found[-2].nonce, header.salt, PASSWORD_ONLY)


def test_what_is_stored_makes_no_proof() -> None:
    """A thief of the file who answers with StoredKey, or with any other stored byte string, is refused (A25)."""
    header = header_of("secret")
    challenge = challenge_of(header)
    message = pw.auth_message(challenge, bytes(32))
    signature = pw.mac(header.stored, message)
    for guess in (header.stored, header.wrapped[:32], bytes(32)):
        proof = Proof(challenge.nonce, bytes(32), pw.exclusive_or(guess, signature))
        with pytest.raises(WrongPassword):
            unwrap(header, challenge, proof)


def test_the_password_is_in_nothing_that_travels_or_is_stored() -> None:
    """Neither it nor SaltedPassword, in no encoding that a search would find (A9, A25)."""
    secret = "canary-password"
    verifier = pw.new_verifier(secret, CHEAP)
    header = headers.lay(VAULT, PASSWORD_ONLY, 1, key=Secret.of(KEY), verifier=verifier, root=None)
    challenge = challenge_of(header)
    salted = pw._salted_password(secret, verifier.salt, CHEAP)
    proof = pw.prove(secret, challenge, CHEAP)
    for value in (verifier, proof, challenge):
        sent = msgspec.msgpack.encode(value)
        assert secret.encode() not in sent
        assert salted not in sent
    stored = headers.encode_header(header)
    for canary in (secret.encode(), salted, verifier.client_key, verifier.server_key):
        assert canary not in stored
    assert {repr(verifier), repr(proof)} == {"Verifier(…)", "Proof(…)"}


@pytest.mark.parametrize(
    "asked",
    [
        PasswordParameters(65535, 3, 4),
        PasswordParameters(65536, 2, 4),
        PasswordParameters(65536, 3, 0),
        PasswordParameters(8, 1, 1),
        PasswordParameters(0, 0, 0),
        PasswordParameters(-65536, -3, -4),
        PasswordParameters((1 << 20) + 1, 3, 4),
        PasswordParameters(65536, 17, 4),
        PasswordParameters(65536, 3, 17),
    ],
    ids=str,
)
def test_a_lying_vault_gets_no_cheap_hash(asked: PasswordParameters, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parameters below the floor, or above what a client should spend: refused before anything is computed (A25)."""
    monkeypatch.setattr(pw, "Argon2id", None)
    with pytest.raises(pw.WeakParameters):
        pw.prove("secret", Challenge(bytes(16), bytes(16), asked, bytes(32), PASSWORD_ONLY))


@pytest.mark.parametrize(("vault", "salt", "nonce"), [(15, 16, 32), (16, 0, 32), (16, 15, 32), (16, 16, 31)])
def test_a_short_salt_or_nonce_is_refused(vault: int, salt: int, nonce: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A vault that could choose no salt could use a table; one without a nonce, an old answer (A25)."""
    monkeypatch.setattr(pw, "Argon2id", None)
    with pytest.raises(pw.WeakParameters):
        pw.prove("secret", Challenge(bytes(vault), bytes(salt), pw.STANDARD, bytes(nonce), PASSWORD_ONLY))


def test_a_new_vault_refuses_a_cheap_hash() -> None:
    """The floor holds on the enclave's side too; the hash of exactly the floor is taken (A25)."""
    verifier = pw.new_verifier("secret", CHEAP)
    for floor, each in (
        (pw.STANDARD, verifier),
        (CHEAP, msgspec.structs.replace(verifier, salt=b"")),
        (CHEAP, msgspec.structs.replace(verifier, client_key=b"")),
        (CHEAP, msgspec.structs.replace(verifier, server_key=bytes(33))),
    ):
        with pytest.raises(pw.WeakParameters):
            layers.check_mode(PASSWORD_ONLY, each, floor)
    layers.check_mode(PASSWORD_ONLY, verifier, CHEAP)


@pytest.mark.parametrize("mode", ["", "keychain-only", "none", "password-only,c=biws"])
def test_a_password_is_hashed_for_no_unknown_purpose(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A vault that has no password, and what could be another part of AuthMessage (A25)."""
    monkeypatch.setattr(pw, "Argon2id", None)
    with pytest.raises(pw.WeakParameters):
        pw.prove("secret", Challenge(bytes(16), bytes(16), pw.STANDARD, bytes(32), mode))


def test_a_proof_for_one_mode_is_none_for_another() -> None:
    """The mode is in AuthMessage, and a challenge is taken for its own only (A25, A47)."""
    header = header_of("secret")
    challenge = challenge_of(header)
    for mode in (TWO_LAYERS, RECOVERY):
        other = msgspec.structs.replace(challenge, mode=mode)
        with pytest.raises(WrongPassword):
            unwrap(header, challenge, pw.prove("secret", other, CHEAP))
        challenges = passwords.Challenges(lambda: 0.0)
        with pytest.raises(WrongPassword):
            challenges.take(issued(challenges, header).nonce, header.salt, mode)
    challenges = passwords.Challenges(lambda: 0.0)
    with pytest.raises(WrongPassword):
        challenges.take(issued(challenges, header).nonce, bytes(16), PASSWORD_ONLY)
    unwrap(header, challenge, pw.prove("secret", challenge, CHEAP))


def test_the_shipped_path_costs_what_it_says() -> None:
    """Without arguments, both halves use 64 MiB, three passes and four lanes, and take no less (A25)."""
    standard = pw.STANDARD
    assert (standard.memory_kib, standard.passes, standard.lanes) == (65536, 3, 4)
    for function in (pw.attempt, pw.prove):
        assert inspect.signature(function).parameters["floor"].default == pw.STANDARD
    verifier = pw.new_verifier("secret")
    assert verifier.parameters == pw.STANDARD
    layers.check_mode(PASSWORD_ONLY, verifier, pw.STANDARD)
    header = headers.lay(VAULT, PASSWORD_ONLY, 1, key=Secret.of(KEY), verifier=verifier, root=None)
    challenge = challenge_of(header)
    assert unwrap(header, challenge, pw.prove("secret", challenge)).key == KEY


@pytest.mark.parametrize("secret", ["", "a\nb", "\0", "tab\t", "\ud800", "\u0378", "x" * 1025, "\ufdfa" * 1025])
def test_what_cannot_be_typed_again_is_refused(secret: str) -> None:
    """Empty, too long, control characters, surrogates, code points that Unicode has not assigned (A25)."""
    with pytest.raises(pw.PasswordRefused):
        pw.new_verifier(secret, CHEAP)


@given(PASSWORDS)
def test_one_password_has_one_form(secret: str) -> None:
    """Composed or decomposed, as the keyboard had it, it is the same password (A25)."""
    forms = {unicodedata.normalize(form, secret) for form in ("NFC", "NFD", "NFKC", "NFKD")}
    prepared = {pw.prepare(form) for form in forms if len(form) <= pw.MAX_CHARACTERS}
    assert len(prepared) == 1


@given(st.data())
def test_any_change_of_the_header_is_noticed(data: st.DataObject) -> None:
    """A changed bit is `VaultCorrupt`; with the digest made good, it still never yields a key (A29)."""
    header = header_of("secret")
    stored = headers.encode_header(header)
    assert headers.decode_header(stored) == header
    place = data.draw(st.integers(0, len(stored) - 1))
    changed = stored[:place] + bytes([stored[place] ^ data.draw(st.integers(1, 255))]) + stored[place + 1 :]
    with pytest.raises(VaultCorrupt):
        headers.decode_header(changed)
    try:
        forged = headers.decode_header(labels.digest(labels.VAULT_HEADER, changed[32:]) + changed[32:])
    except VaultCorrupt:
        return
    assume(forged != header)
    if forged.mode != PASSWORD_ONLY:
        with pytest.raises(VaultCorrupt):
            headers.unwrap(forged, bytes(32), Secret.of(bytes(32)))
        return
    challenge = challenge_of(forged)
    try:
        proof = pw.prove("secret", challenge, CHEAP)
    except pw.WeakParameters:
        return
    with pytest.raises((WrongPassword, VaultCorrupt)):
        unwrap(forged, challenge, proof)
