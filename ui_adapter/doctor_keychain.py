"""Whether an OS keychain can be reached, as a vault would reach it: by an allow-listed back end, without a prompt.

May import: `doctor_machine`. Invariants: no item is read or written and nothing is unlocked; `keyring` is imported in a
process of its own, which is ended when it does not answer; its choice of a back end is never asked for.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Final

from trollbridge.ui_adapter.doctor_machine import Fact, Verdict

PATIENCE: Final = 5.0
"""Seconds. A keychain that is locked may show a prompt, and wait for it for ever."""
PLAINTEXT: Final = "keyrings.alt"
_PASSED_ON: Final = ("DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR", "HOME", "PATH", "LANG")
_PROBE: Final = """
import sys
from importlib.util import find_spec
try:
    if find_spec("keyrings") is not None and find_spec("keyrings.alt") is not None:
        print("plaintext")
    import keyring.backends.SecretService, secretstorage
except Exception as error:
    sys.exit(f"package {type(error).__name__}: {error}")
try:
    bus = secretstorage.dbus_init()
except Exception as error:
    sys.exit(f"bus {type(error).__name__}: {error}")
try:
    if not secretstorage.check_service_availability(bus):
        sys.exit("service")
    chosen = secretstorage.Collection(bus, "/org/freedesktop/secrets/aliases/default")
    print("locked" if chosen.is_locked() else "reachable")
except secretstorage.ItemNotFoundException:
    print("empty")
except Exception as error:
    sys.exit(f"service {type(error).__name__}: {error}")
"""
"""What the process runs: it says a word on standard output, or why not on standard error."""
_STATES: Final = {
    "reachable": Fact("keychain", Verdict.GOOD, "reachable: Secret Service, unlocked"),
    "locked": Fact("keychain", Verdict.WEAK, "locked: Secret Service", "unlock it, as logging in to a desktop does"),
    "empty": Fact(
        "keychain", Verdict.WEAK, "reachable: Secret Service, without a default collection", "make one, and unlock it"
    ),
}
_WITHOUT: Final = "a vault can do without one, protected by its password alone, if that is chosen explicitly"
_BUS: Final = Fact("keychain", Verdict.WEAK, "none: no D-Bus session", _WITHOUT)
_SERVICE: Final = Fact("keychain", Verdict.WEAK, "none: no Secret Service on the D-Bus session", _WITHOUT)


def fact(patience: float = PATIENCE) -> Fact:
    """Return the keychain's state, found out within `patience` seconds."""
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    try:
        done = subprocess.run(  # noqa: S603  # our own text, in our own interpreter
            [sys.executable, "-I", "-c", _PROBE],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=environment,
            timeout=patience,
            check=False,
        )
    except subprocess.TimeoutExpired:
        text = f"no answer within {patience:g} seconds"
        return Fact("keychain", Verdict.WEAK, text, "it may be locked, and wait for a prompt")
    return told(done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))


def told(output: str, errors: str) -> Fact:
    """Return what the words of the process mean."""
    words = output.split()
    kind, _, detail = errors.strip().partition(" ")
    if "plaintext" in words:
        remedy = f"uninstall {PLAINTEXT}, which would keep secrets in a readable file; our vault never uses it"
        return Fact("keychain", Verdict.WEAK, f"plaintext backend installed ({PLAINTEXT}): refused", remedy)
    if kind == "bus":
        return _BUS
    if kind == "service":
        return _SERVICE
    if words and words[-1] in _STATES:
        return _STATES[words[-1]]
    line = (detail or errors).strip().splitlines()
    return Fact(
        "keychain",
        Verdict.WEAK,
        f"package keyring not importable: {line[-1] if line else 'no reason given'}",
        "pip install keyring secretstorage",
    )
