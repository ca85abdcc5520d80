"""An application with the shipped vault and an extension that was granted every use of API keys, and what they do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tests.harness.puppet import Puppet
from trollbridge.actors.app import App, Child
from trollbridge.messages.errors import CallError
from trollbridge.messages.sandbox import Sandbox
from trollbridge.messages.vault import PASSWORD_ONLY, VOCABULARY
from trollbridge.messages.vault_secrets import (
    ECDSA_P256,
    ED25519,
    HMAC,
    TOKEN,
    TOTP,
    Constraints,
    HttpRequest,
    SecretOptions,
)
from trollbridge.ui_adapter import unlocking

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.puppet import Strings

PASSWORD: Final = "secret"
VALUE: Final = b"JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
REQUEST: Final = HttpRequest("GET", "https://example.com/", (), ("@method",))
USES: Final = ("get_secret", "list_secrets", "hmac_secret", "sign_request", "bearer", "totp", "constraints")
"""What anybody may be granted."""
CORE: Final = ("set_secret", "rename_secret", "delete_secret", "constrain", "approvals", "approve", "refuse")
"""What nobody but the core UI may be granted."""
PATIENCE: Final = 30.0


class Console(Puppet):
    """A puppet that knows the vault's words."""

    vocabulary = VOCABULARY


def application(*, path: str, extension: str) -> App:
    """Return a puppet, the vault, and an extension that obeys the socket at `extension`."""
    console = f"{__name__}:Console"
    granted = [f"vault.{each}" for each in USES]
    core = [f"vault.{each}" for each in (*CORE, "create", "status", "lock")]
    return App(
        ui=Child(console, name="console"),
        enclaves=[Child("trollbridge.enclave.vault:Vault", settings={"path": path})],
        extensions=[Child(console, name="extra", settings={"strings": extension}, sandbox=Sandbox(network=("unix",)))],
        grants={"console": [*core, *granted], "extra": granted},
    )


def told(attempt: Callable[[], Any]) -> str:
    """Return what a call came to: the type of its result, or of its error."""
    try:
        return type(attempt().get(timeout=PATIENCE)).__name__
    except CallError as error:
        return type(error).__name__


def keep(strings: Strings) -> None:
    """Make the vault, with a key of every kind; the one for HMAC needs an approval."""
    vault = strings.bridge.vault
    unlocking.create(vault, PASSWORD, PASSWORD_ONLY)
    for kind in (TOKEN, HMAC, TOTP, ED25519, ECDSA_P256):
        vault.set_secret(kind, VALUE, SecretOptions(kind)).get(timeout=PATIENCE)
    vault.constrain(f"secret:{HMAC}", Constraints(approval=True)).get(timeout=PATIENCE)


def use(strings: Strings) -> dict[str, str]:
    """Use every key in every way that it is for; return what each came to."""
    vault = strings.bridge.vault
    return {
        "get": told(lambda: vault.get_secret(TOKEN)),
        "bearer": told(lambda: vault.bearer(TOKEN)),
        "hmac": told(lambda: vault.hmac_secret(HMAC, b"data")),
        "totp": told(lambda: vault.totp(TOTP)),
        ED25519: told(lambda: vault.sign_request(ED25519, REQUEST)),
        ECDSA_P256: told(lambda: vault.sign_request(ECDSA_P256, REQUEST)),
        "list": told(vault.list_secrets),
    }


def meddle(strings: Strings) -> list[str]:
    """Store, replace, rename, delete, constrain, approve, refuse; return what it all came to."""
    vault = strings.bridge.vault
    found = {
        told(lambda: vault.set_secret("new", b"x", SecretOptions())),
        told(lambda: vault.set_secret(TOKEN, b"x", SecretOptions(replace=True))),
        told(lambda: vault.rename_secret(TOKEN, "new")),
        told(lambda: vault.delete_secret(TOKEN)),
        told(lambda: vault.constrain(f"secret:{HMAC}", Constraints(per_hour=1, approval=True))),
        told(vault.approvals),
        told(lambda: vault.approve(bytes(16))),
        told(lambda: vault.refuse(bytes(16))),
    }
    return sorted(found)


def decide(strings: Strings, verdict: str) -> list[str]:
    """Approve or refuse all that waits; return who asked for what on which content."""
    vault = strings.bridge.vault
    waiting = vault.approvals().get(timeout=PATIENCE)
    for each in waiting:
        getattr(vault, verdict)(each.ticket).get(timeout=PATIENCE)
    return [f"{each.member} {each.operation} {each.subject} {each.head}" for each in waiting]
