"""The core user interface: keeps logins in the vault, and fills in the forms that the extension has an offer for.

The first line that is typed is the master password. Then each line is one of:

    SITE LOGIN PASSWORD     keep a login
    PAGE                    a page, such as https://login.mail.example/, shows a form that wants a login

A form is filled in by writing it to standard output: in a browser, here would be the page.
"""

from __future__ import annotations

import getpass
import sys
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from trollbridge.messages.errors import DeadlineExceeded, TrollbridgeError
from trollbridge.messages.vault import MISSING, PASSWORD_ONLY, VOCABULARY, printable
from trollbridge.messages.vault_secrets import SecretOptions
from trollbridge.ui_adapter import UiActor, unlocking

if TYPE_CHECKING:
    from trollbridge.messages.ring_key import Sealed
    from trollbridge.ui_adapter.bridge import Bridge

USAGE = "SITE LOGIN PASSWORD, or PAGE, such as https://login.mail.example/"
PATIENCE = 10.0
"""Seconds that a form waits for an offer."""


class Login(msgspec.Struct, frozen=True):
    """What is kept under a site's name, as JSON."""

    login: str
    password: str


class Window(UiActor):
    """Reads lines."""

    vocabulary = VOCABULARY

    def main(self, bridge: Bridge) -> None:
        """Open the vault, or make it; then do as each line says."""
        master = getpass.getpass() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
        if bridge.vault.status().get(timeout=5).state == MISSING:
            unlocking.create(bridge.vault, master, PASSWORD_ONLY)  # TWO_LAYERS where there is a keychain
        else:
            unlocking.unlock(bridge.vault, master, PASSWORD_ONLY)
        if sys.stdin.isatty():
            print(USAGE, flush=True)
        for line in sys.stdin:
            match line.split():
                case [site, login, password]:
                    value = msgspec.json.encode(Login(login, password))
                    bridge.vault.set_secret(site, value, SecretOptions(replace=True)).get(timeout=5)
                    print(f"kept: {site}", flush=True)
                case [page] if host_of(page):
                    fill_in(bridge, page)
                case _:
                    print(USAGE, flush=True)


def fill_in(bridge: Bridge, page: str) -> None:
    """Lay the form of a page open, and take the first offer that is good for it."""
    try:
        with bridge.desk.ask.within(PATIENCE)(page) as offers:
            for offer in offers:
                words, site = printable(offer.words), printable(offer.site)
                if not belongs(page, offer.site):
                    print(f"{words}: refused, the login of {site} is not for {page}", flush=True)
                    continue
                try:
                    found = opened(bridge, offer.sealed, offer.site)
                except (TrollbridgeError, msgspec.DecodeError):
                    print(f"{words}: refused, that is not the login of {site}", flush=True)
                    continue
                print(f"{words}: {page} login={found.login} password={found.password}", flush=True)
                return
    except DeadlineExceeded:
        print(f"nobody knows a login for {page}", flush=True)


def belongs(page: str, site: str) -> bool:
    """Return whether a page may be told a site's login: it is the site's, or of a host beneath it, and encrypted."""
    return bool(site) and page.startswith("https://") and f".{host_of(page)}".endswith(f".{site}")


def host_of(page: str) -> str:
    """Return the host of a page; nothing if it has none."""
    try:
        return urlsplit(page).hostname or ""
    except ValueError:
        return ""


def opened(bridge: Bridge, sealed: Sealed, site: str) -> Login:
    """Return the login that is sealed; raises `AuthenticationFailed` if it is not what the vault gave for that site.

    If the site's login was changed since the extension asked for it, this is the old one: within a ring, the seal does
    not tell.
    """
    value: bytes = bridge.vault.get_secret.open(sealed, site)
    return msgspec.json.decode(value, type=Login)
