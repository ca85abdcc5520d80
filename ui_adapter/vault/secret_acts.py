"""What is done about API keys.

May import: our desk, our orders, `messages`. Invariant: an API key comes from standard input or from the terminal, and
goes where it was asked for and nowhere else.
"""

from __future__ import annotations

import base64
import os
import time
import typing
from typing import TYPE_CHECKING, Final

from trollbridge.messages.errors import SecretExists
from trollbridge.messages.vault_secrets import (
    LARGEST_SECRET,
    SUBJECT_OF_SECRETS,
    HttpRequest,
    HttpSignature,
    SecretOptions,
    TotpCode,
    content_digest,
)
from trollbridge.ui_adapter import documents
from trollbridge.ui_adapter.vault import asking, inputs, outputs, passwords, times
from trollbridge.ui_adapter.vault.constraint_acts import constrain
from trollbridge.ui_adapter.vault.desk import PATIENCE
from trollbridge.ui_adapter.vault.orders import Source
from trollbridge.ui_adapter.vault.refusals import WrongInput
from trollbridge.ui_adapter.vault.reports import tell
from trollbridge.ui_adapter.vault.work_orders import (
    Bearer,
    ConstrainSecret,
    DeleteSecret,
    GetSecret,
    Hmac,
    ListSecrets,
    RenameSecret,
    SecretOrder,
    SetSecret,
    SignRequest,
    Totp,
)

if TYPE_CHECKING:
    from trollbridge.messages.vault_secrets import SecretInfo
    from trollbridge.ui_adapter.vault.desk import Desk

_DAY: Final = 86_400
SOON: Final = 30 * _DAY
"""Seconds before an API key's end from when on it is reminded of."""


def carry_out(desk: Desk, order: SecretOrder) -> int:  # noqa: C901  # one case for each order
    """Do it; return the exit code."""
    match order:
        case SetSecret():
            _set(desk, order)
        case GetSecret():
            _get(desk, order)
        case RenameSecret():
            desk.open()
            desk.vault.rename_secret(order.name, order.new_name).get(timeout=PATIENCE)
        case DeleteSecret():
            desk.open()
            asking.demand(f"Delete the API key {order.name}?", sure=order.sure)
            desk.vault.delete_secret(order.name).get(timeout=PATIENCE)
        case ListSecrets():
            _list(desk, order)
        case Hmac():
            _hmac(desk, order)
        case SignRequest():
            _sign_request(desk, order)
        case Bearer():
            _bearer(desk, order)
        case Totp():
            desk.open()
            code: TotpCode = desk.using(lambda: desk.vault.totp(order.name).get(timeout=PATIENCE))
            desk.reporter().give(code, [code.code])
        case ConstrainSecret():
            desk.open()
            constrain(desk, SUBJECT_OF_SECRETS + order.name, order.limits)
        case _:
            typing.assert_never(order)
    return 0


def _value(order: SetSecret) -> bytes:
    """Return the API key: typed twice at a terminal, else standard input to its end."""
    if os.isatty(0):
        return passwords.chosen(Source(), f"API key {order.name}").encode()
    value = inputs.whole(inputs.STANDARD, LARGEST_SECRET + 2)
    if not order.whole:
        value = value.removesuffix(b"\n").removesuffix(b"\r")
    if not value and not order.empty:
        msg = "standard input is empty, so nothing was kept; --empty keeps an empty API key"
        raise WrongInput(msg)
    return value


def _demand_free(desk: Desk, name: str) -> None:
    """Raise `SecretExists` if there is an API key of that name: before one is typed, not after."""
    found: tuple[SecretInfo, ...] = desk.vault.list_secrets().get(timeout=PATIENCE)
    if name in {each.name for each in found}:
        msg = f"The vault already holds an API key {name!r}; --replace puts another one in its place."
        raise SecretExists(msg)


def _set(desk: Desk, order: SetSecret) -> None:
    typed = os.isatty(0)
    value = b"" if typed else _value(order)  # the vault is free meanwhile
    desk.open()
    if not order.replace:
        _demand_free(desk, order.name)
    if typed:
        value = _value(order)
    options = SecretOptions(order.kind, order.use_only, order.expires or None, order.note, order.replace)
    kept: SecretInfo = desk.vault.set_secret(order.name, value, options).get(timeout=PATIENCE)
    desk.reporter().give(kept, [f"{kept.name}: {kept.size} bytes kept{', use only' if kept.use_only else ''}"])


def _get(desk: Desk, order: GetSecret) -> None:
    outputs.check(order.target, binary=False)
    desk.open()
    value: bytes = desk.using(lambda: desk.vault.get_secret(order.name).get(timeout=PATIENCE))
    outputs.write(order.target, value + b"\n" if outputs.to_a_terminal(order.target) else value)


def _list(desk: Desk, order: ListSecrets) -> None:
    desk.open()
    found: tuple[SecretInfo, ...] = desk.vault.list_secrets().get(timeout=PATIENCE)
    now = int(time.time())
    if order.within is not None:
        found = tuple(each for each in found if each.expires is not None and each.expires <= now + order.within)
    head = ("name", "kind", "bytes", "changed", "expires", "note")
    desk.reporter().table(found, [head, *(_row(each, now) for each in found)])
    soon = [each.name for each in found if each.expires is not None and each.expires <= now + SOON]
    if soon and not desk.request.as_json:
        tell(f"to be replaced: {', '.join(soon)}")


def _row(info: SecretInfo, now: int) -> tuple[str, ...]:
    return info.name, _kind(info), str(info.size), times.shown(info.changed), _end(info, now), info.note


def _kind(info: SecretInfo) -> str:
    return f"{info.kind}, use only" if info.use_only else info.kind


def _end(info: SecretInfo, now: int) -> str:
    if info.expires is None:
        return times.NEVER
    shown = times.shown(info.expires)
    if info.expires <= now:
        return f"{shown} (expired)"
    if info.expires > now + SOON:
        return shown
    return f"{shown} (in {_left(info.expires - now)})"


def _left(seconds: int) -> str:
    """Return how long that is, in days, to the nearest one."""
    days = (seconds + _DAY // 2) // _DAY
    return "less than a day" if seconds < _DAY else "1 day" if days == 1 else f"{days} days"


def _hmac(desk: Desk, order: Hmac) -> None:
    if order.encoding == "binary":
        outputs.check(outputs.TO_STANDARD, binary=True)
    data = inputs.whole(order.file, documents.LARGEST)
    desk.open()
    mac: bytes = desk.using(lambda: desk.vault.hmac_secret(order.name, data, order.algorithm).get(timeout=PATIENCE))
    match order.encoding:
        case "binary":
            outputs.write(outputs.TO_STANDARD, mac)
        case "base64":
            outputs.write(outputs.TO_STANDARD, base64.b64encode(mac) + b"\n")
        case _:
            outputs.write(outputs.TO_STANDARD, f"{mac.hex()}\n".encode())


def _sign_request(desk: Desk, order: SignRequest) -> None:
    headers = order.headers
    digest = ""
    if order.body:
        digest = content_digest(inputs.whole(order.body, documents.LARGEST))
        headers = (*headers, ("content-digest", digest))
    created = int(time.time()) if order.created is None else order.created
    components = order.components or ("@method", "@target-uri", *dict.fromkeys(name.lower() for name, _ in headers))
    request = HttpRequest(
        order.method,
        order.url,
        headers,
        components,
        created,
        created + order.lifetime if order.lifetime else None,
        order.key_id or None,
        order.nonce or None,
        order.purpose or None,
        order.label,
    )
    desk.open()
    signed: HttpSignature = desk.using(lambda: desk.vault.sign_request(order.name, request).get(timeout=PATIENCE))
    given = {"Content-Digest": digest} if digest else {}
    given |= {"Signature-Input": signed.signature_input, "Signature": signed.signature}
    desk.reporter().give(given, [f"{name}: {value}" for name, value in given.items()])


def _bearer(desk: Desk, order: Bearer) -> None:
    outputs.check(order.target, binary=False)
    desk.open()
    value: str = desk.using(lambda: desk.vault.bearer(order.name).get(timeout=PATIENCE))
    outputs.write(order.target, f"Authorization: {value}\n".encode())
