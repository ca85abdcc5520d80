"""The vault's own handlers, each of them called in every way that its types allow: none gives a use-only key away."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import base64
import itertools
import typing
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pytest

from tests.enclave.cheap import CHEAP
from trollbridge.actors.handlers import exported
from trollbridge.enclave.access import Access
from trollbridge.enclave.gate import Caller
from trollbridge.enclave.vault import Vault
from trollbridge.enclave.vault_access import AccessHandlers
from trollbridge.enclave.vault_documents import DocumentHandlers
from trollbridge.enclave.vault_keys import KeyHandlers
from trollbridge.enclave.vault_secrets import SecretHandlers
from trollbridge.messages import password as pw
from trollbridge.messages.errors import NotAllowed, UseOnly, VaultLocked, WrongPassword
from trollbridge.messages.vault import PASSWORD_ONLY, Proof
from trollbridge.messages.vault_secrets import HMAC, SECRET_KINDS, TOTP, Constraints, SecretOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PASSWORD: Final = "secret"
NAME: Final = "payments"
CANARY: Final = b"JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
"""A value that is right for every kind but `totp`, for which it is base32."""
MOST_CALLS: Final = 400
"""Of one handler; a handler with more ways than that is called in the first ones."""


class Handlers(AccessHandlers, KeyHandlers, SecretHandlers, DocumentHandlers):
    """The vault without its process."""

    def __init__(self, access: Access) -> None:
        """Take what it is about."""
        self._access = access
        self.role = "ui"

    def call(self, name: str, *arguments: object) -> object:
        """Call a handler."""
        return getattr(self, name)(*arguments)


@pytest.fixture
def vault(path: str) -> Iterator[Handlers]:
    """Return the handlers of an open vault; the test sets who calls."""
    made: list[Handlers] = []
    access = Access(path, floor=CHEAP, caller=lambda: Caller("console", made[0].role))
    made.append(Handlers(access))
    access.create(PASSWORD_ONLY, pw.new_verifier(PASSWORD, CHEAP))
    yield made[0]
    access.close()


def proof(vault: Handlers, password: str = PASSWORD) -> Proof:
    """Return the answer to a fresh challenge."""
    return pw.prove(password, vault._access.challenge(), CHEAP)


def ways(kind: object, name: str) -> list[object]:
    """Return values of a type, among them those that name the key."""
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        hints = typing.get_type_hints(kind)
        fields = [ways(hints[each], each)[:2] for each in kind.__struct_fields__]
        return [kind(*values) for values in itertools.islice(itertools.product(*fields), 16)]
    if origin is tuple:
        inner = ways(parts[0], name) if parts else []
        return [(), *((each,) for each in inner[:2])]
    if parts:  # a union: None last
        return [way for part in sorted(parts, key=lambda each: each is type(None)) for way in ways(part, name)]
    simple: dict[object, list[object]] = {
        str: [NAME, f"secret:{NAME}", "other", "sha256", *SECRET_KINDS, "@method", "https://example.com/"],
        bytes: [b"x" * 32, CANARY[:5]],
        int: [1, 0, 1 << 33],
        float: [0.0],
        bool: [False, True],
        type(None): [None],
    }
    return [way for each, found in simple.items() if kind is each for way in found]


def outcomes(vault: Handlers, name: str) -> Iterator[str]:
    """Call one handler in every way; yield what is told of each call, and show the bytes of each result."""
    hints = typing.get_type_hints(getattr(Vault, name))
    hints.pop("return")
    choices = [ways(hint, each) for each, hint in hints.items()]
    for arguments in itertools.islice(itertools.product(*choices), MOST_CALLS):
        try:
            result = vault.call(name, *arguments)
        except Exception as error:  # noqa: BLE001  # whatever it is, it must not show the key
            yield f"{error!r} {error}"
        else:
            yield repr(result) + repr(msgspec.msgpack.encode(result))


FORMS: Final = (
    CANARY.decode(),
    CANARY.hex(),
    base64.b64encode(CANARY).decode()[:-2],
    base64.b32decode(CANARY).hex(),
    repr(base64.b32decode(CANARY))[2:-1],
)


@pytest.mark.parametrize("kind", SECRET_KINDS)
@pytest.mark.parametrize("handler", sorted(exported(Vault)))
def test_no_handler_gives_a_use_only_key_away(vault: Handlers, handler: str, kind: str) -> None:
    """Every line of the manifest, by every name of the key, then `get_secret` and `bearer` again (A48, K1)."""
    vault.set_secret(NAME, CANARY, SecretOptions(kind, use_only=True))
    told = list(outcomes(vault, handler))
    assert told
    for name in (NAME, "other", f"secret:{NAME}"):
        for give in (vault.get_secret, vault.bearer):
            try:
                told.append(repr(give(name)))
            except Exception as error:  # noqa: BLE001  # refused is what it should be
                told.append(f"{error!r} {error}")
    for each in told:
        assert not any(form in each for form in FORMS)


def test_a_key_that_may_be_shown_is_found_by_the_same_walk(vault: Handlers) -> None:
    """The control: the walk does reach a key."""
    vault.set_secret(NAME, CANARY, SecretOptions())
    for handler in ("get_secret", "bearer"):
        assert any(FORMS[0] in each for each in outcomes(vault, handler))


def test_what_shows_a_key_is_sealed_to_the_core_ui_and_what_uses_it_is_not() -> None:
    """Whoever asks for it (A41); and a use is never repeated on its own after a crash (A58, K2)."""
    marks = {name: each.mark for name, each in exported(SecretHandlers).items()}
    assert sorted(name for name, mark in marks.items() if mark.sensitive) == ["bearer", "get_secret"]
    assert not any(mark.idempotent for mark in marks.values())


def changing(vault: Handlers) -> dict[str, Callable[[], object]]:
    """Return what only the core UI may do."""
    return {
        "set_secret": lambda: vault.set_secret("new", b"x", SecretOptions()),
        "replace": lambda: vault.set_secret(NAME, b"x", SecretOptions(HMAC, replace=True)),
        "rename_secret": lambda: vault.rename_secret(NAME, "new"),
        "delete_secret": lambda: vault.delete_secret(NAME),
        "constrain": lambda: vault.constrain(f"secret:{NAME}", Constraints(per_hour=1)),
        "approvals": vault.approvals,
        "approve": lambda: vault.approve(bytes(16)),
        "refuse": lambda: vault.refuse(bytes(16)),
    }


def test_an_extension_uses_and_neither_stores_nor_deletes_nor_approves(vault: Handlers) -> None:
    """However it was granted the handlers; what it may use, it uses (R8, A41)."""
    vault.set_secret(NAME, CANARY, SecretOptions(HMAC, use_only=True))
    vault.role = "extension"
    for forbidden in changing(vault).values():
        with pytest.raises(NotAllowed):
            forbidden()
    assert len(vault.hmac_secret(NAME, b"data")) == 32
    assert [each.name for each in vault.list_secrets()] == [NAME]
    vault.role = "ui"
    for name in ("replace", "set_secret", "approvals"):
        changing(vault)[name]()


def test_a_locked_vault_does_none_of_it(vault: Handlers) -> None:
    """Neither lists nor uses nor limits (A47)."""
    vault.set_secret(NAME, CANARY, SecretOptions(TOTP))
    vault.lock()
    attempts: dict[str, Callable[[], object]] = {
        **changing(vault),
        "get_secret": lambda: vault.get_secret(NAME),
        "totp": lambda: vault.totp(NAME),
        "list_secrets": vault.list_secrets,
        "constraints": lambda: vault.constraints(f"secret:{NAME}"),
    }
    for attempt in attempts.values():
        with pytest.raises(VaultLocked):
            attempt()
    vault.unlock(PASSWORD_ONLY, proof(vault))
    assert vault.get_secret(NAME) == CANARY


def test_a_constraint_loosens_for_the_password_alone(vault: Handlers) -> None:
    """None, a wrong one and a proof that was used before do not do it (K1)."""
    vault.set_secret(NAME, CANARY, SecretOptions())
    subject = f"secret:{NAME}"
    vault.constrain(subject, Constraints(per_hour=1))
    vault.get_secret(NAME)
    used = proof(vault)
    vault.constrain(subject, Constraints(per_hour=2), used)
    for wrong in (None, used, proof(vault, "wrong")):
        with pytest.raises(WrongPassword):
            vault.constrain(subject, Constraints(), wrong)
    vault.get_secret(NAME)
    with pytest.raises(NotAllowed):
        vault.get_secret(NAME)
    vault.lock()
    vault.unlock(PASSWORD_ONLY, proof(vault))
    with pytest.raises(NotAllowed):
        vault.get_secret(NAME)
    assert vault.constraints(subject) == Constraints(per_hour=2)
    vault.constrain(subject, Constraints(), proof(vault))
    assert vault.get_secret(NAME) == CANARY


def test_a_use_only_key_stays_so_through_the_handlers(vault: Handlers) -> None:
    """The default of a set is no use-only key; a replaced or renamed one stays what it was (A48)."""
    vault.set_secret(NAME, CANARY, SecretOptions(use_only=True))
    vault.set_secret(NAME, CANARY, SecretOptions(replace=True))
    vault.rename_secret(NAME, "other")
    for give in (vault.get_secret, vault.bearer):
        with pytest.raises(UseOnly):
            give("other")


def test_the_walk_knows_every_type_of_the_manifest(vault: Handlers) -> None:
    """A handler with a parameter that the walk cannot fill would pass unseen."""
    for name in exported(Vault):
        hints: dict[str, Any] = typing.get_type_hints(getattr(Vault, name))
        hints.pop("return")
        for each, hint in hints.items():
            assert ways(hint, each), f"{name}({each})"
    assert vault.list_secrets() == ()
