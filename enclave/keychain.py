"""The one-shot process that reaches the OS keychain for the vault: one request, one answer, then it ends.

May import: `keyring`, `secretstorage`, our enclave's keychain_words, our messages; `jeepney` comes with these.
Invariants: of keyring's back ends only those on `ALLOWED` are used, by their name, whatever else is installed; no
prompt is ever waited for: what is locked is told, and stays locked; the root goes to the enclave that asked and is in
no message, log or exception.

The stream to the enclave is not sealed: it is an unnamed pair of sockets, made by the enclave, whose other end the
supervisor hands on without reading it. This process is as much trusted with the root as the keychain itself, whose
every item any program of the user can read.
"""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Final, NoReturn, Protocol, cast

import secretstorage
from jeepney import DBusErrorResponse  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]
from keyring.backends import SecretService
from keyring.errors import KeyringError, KeyringLocked
from secretstorage import dhcrypto, exceptions
from secretstorage.util import format_secret

from trollbridge.enclave.keychain_words import (
    ANSWER_SIZE,
    REQUEST,
    REQUEST_SIZE,
    ROOT_SIZE,
    SERVICE,
    Verb,
    Word,
    account,
)
from trollbridge.messages.sandbox import Sandbox

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

ALLOWED: Final = frozenset({"keyring.backends.SecretService.Keyring"})
"""The back ends that may hold a root: those that the system keeps encrypted, behind a service of its own."""
PATIENCE: Final = 10.0
"""Seconds that one call over D-Bus may take."""
EXPECTED: Final = 30.0
"""Seconds within which the request comes: a process may be started before there is one."""
SANDBOX: Final = Sandbox(network=("unix",))
_DEFAULT: Final = "/org/freedesktop/secrets/aliases/default"
_DENIED: Final = "org.freedesktop.DBus.Error.AccessDenied"


class _Told(Exception):
    """The answer is this word."""

    def __init__(self, word: Word) -> None:
        super().__init__(word.name)
        self.word: Final = word


def _refuse(*_: object, **__: object) -> NoReturn:
    """Stand in for what waits for a prompt."""
    raise _Told(Word.LOCKED)


class _Connection(Protocol):
    """What is changed of jeepney's connection."""

    send_and_get_reply: Callable[..., object]
    filter: Callable[..., object]


class _BackEnd(Protocol):
    """What is used of a back end of keyring."""

    def get_password(self, service: str, username: str) -> str | None:
        """Return what stands there, or None."""

    def set_password(self, service: str, username: str, password: str) -> None:
        """Put it there."""


def _tame(connection: _Connection) -> None:
    """Have no call on this connection last for ever, and no prompt waited for."""
    connection.send_and_get_reply = functools.partial(connection.send_and_get_reply, timeout=PATIENCE)
    connection.filter = _refuse


def _collection() -> secretstorage.Collection:
    """Return the default collection, unlocked; nothing is made and nothing is unlocked."""
    try:
        connection = secretstorage.dbus_init()
    except (secretstorage.SecretServiceNotAvailableException, OSError, RuntimeError):
        raise _Told(Word.NO_BUS) from None
    try:
        _tame(cast("_Connection", connection))
        if not secretstorage.check_service_availability(connection):
            raise _Told(Word.NO_SERVICE)
        collection = secretstorage.Collection(connection, _DEFAULT)
        if collection.is_locked():
            raise _Told(Word.LOCKED)
    except secretstorage.ItemNotFoundException:
        connection.close()
        raise _Told(Word.NO_COLLECTION) from None
    except BaseException:
        connection.close()
        raise
    return collection


class _Keyring(SecretService.Keyring):
    """keyring's back end for the Secret Service, without its ways to make a collection or to unlock one."""

    def get_preferred_collection(self) -> secretstorage.Collection:
        return _collection()

    def unlock(self, item: secretstorage.Item) -> None:
        if item.is_locked():
            raise KeyringLocked


def _back_end() -> _BackEnd:
    """Return the back end; raises unless it is what it is called."""
    kind = SecretService.Keyring
    if f"{kind.__module__}.{kind.__qualname__}" not in ALLOWED:
        raise _Told(Word.NO_PACKAGE)
    return cast("Callable[[], _BackEnd]", _Keyring)()


def _older(collection: secretstorage.Collection, vault: bytes, number: int) -> Iterator[secretstorage.Item]:
    """Yield what stands there for this vault, up to that number."""
    prefix = account(vault, 0).removesuffix("0")
    for item in collection.search_items({"service": SERVICE}):
        name = item.get_attributes().get("username", "")
        rest = name.removeprefix(prefix)
        if name.startswith(prefix) and rest.isascii() and rest.isdecimal() and int(rest) <= number:
            yield item


def _carry_out(verb: Verb, vault: bytes, number: int, root: bytes) -> bytes:
    name = account(vault, number)
    match verb:
        case Verb.FETCH:
            text = _back_end().get_password(SERVICE, name)
            if text is None:
                raise _Told(Word.MISSING)
            found = bytes.fromhex(text) if text.isascii() else b""
            if len(found) != ROOT_SIZE:
                raise _Told(Word.UNUSABLE)
            return found
        case Verb.STORE:
            _back_end().set_password(SERVICE, name, root.hex())
        case Verb.REMOVE:
            collection = _collection()
            with contextlib.closing(collection.connection):
                for item in list(_older(collection, vault, number)):
                    item.delete()
    return bytes(ROOT_SIZE)


def answer(request: bytes) -> bytes:
    """Carry out one request and return the answer; nothing is raised."""
    try:
        verb, vault, number = REQUEST.unpack(request[: REQUEST.size])
        return bytes([Word.DONE]) + _carry_out(Verb(verb), vault, number, request[REQUEST.size :])
    except _Told as told:
        word = told.word
    except (KeyringLocked, exceptions.LockedException, exceptions.PromptDismissedException):
        word = Word.LOCKED
    except DBusErrorResponse as refusal:
        word = Word.DENIED if str(refusal).startswith(f"[{_DENIED}]") else Word.FAILED
    except TimeoutError:
        word = Word.SILENT
    except exceptions.SecretServiceNotAvailableException:
        word = Word.NO_SERVICE
    except ValueError:
        word = Word.UNUSABLE
    except (KeyringError, exceptions.SecretStorageException, OSError):
        word = Word.FAILED
    except Exception:  # noqa: BLE001  # of three packages; what it was could quote the root
        word = Word.FAILED
    return bytes([word]).ljust(ANSWER_SIZE, b"\0")


def prepare() -> None:
    """Make what is made at first use: the arithmetic of the session to the keychain, and its cipher."""
    session = dhcrypto.Session()
    session.object_path = "/"
    session.set_server_public_key(session.my_public_key)
    format_secret(session, bytes(ROOT_SIZE), "text/plain")


def run(end: socket.socket, descriptors: tuple[int, ...]) -> None:  # noqa: ARG001  # none comes with this errand
    """Read one request from `end`, carry it out, answer."""
    end.settimeout(EXPECTED)
    request = b""
    while len(request) < REQUEST_SIZE:
        try:
            part = end.recv(REQUEST_SIZE - len(request))
        except OSError:
            return
        if not part:
            return
        request += part
    found = answer(request)
    with contextlib.suppress(OSError):  # the enclave waits no longer, or has ended
        end.sendall(found)
