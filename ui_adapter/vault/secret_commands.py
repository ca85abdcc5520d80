"""`trollbridge secret …`: API keys, and their use without showing them.

May import: `click`, our options and orders. Invariant: a command is parsed here and carried out elsewhere; no value of
an API key is an argument.
"""

from __future__ import annotations

from typing import Final

import click

from trollbridge.messages.vault_secrets import LONGEST_NAME, SECRET_KINDS, TOKEN
from trollbridge.ui_adapter.vault import work_orders
from trollbridge.ui_adapter.vault.constraining import constraints, limits
from trollbridge.ui_adapter.vault.options import (
    EPILOG,
    FILE,
    SETTINGS,
    Moment,
    Span,
    force,
    ordering,
    output,
    sure,
    target,
)


def _named(_context: click.Context, _param: click.Parameter, value: str) -> str:
    if not 0 < len(value) <= LONGEST_NAME or not value.isprintable() or value != value.strip():
        msg = f"an API key's name is 1 to {LONGEST_NAME} printable characters, without a space at its ends"
        raise click.BadParameter(msg)
    return value


_NAME = click.argument("name", callback=_named)
_HASHES: Final = click.Choice(("sha256", "sha384", "sha512"))
_ENCODINGS: Final = click.Choice(("hex", "base64", "binary"))


@click.group(context_settings=SETTINGS, epilog=EPILOG)
def secret() -> None:
    """Keep API keys, and use them without showing them.

    A key comes from standard input or is typed unseen at the terminal; it is never an argument, which every program of
    the machine could read. A key that was kept with --use-only is never shown again, to nobody: it makes HMACs,
    signatures and one-time codes.

    \b
    Examples:
      pass show api/stripe | trollbridge secret set stripe --expires 90d
      trollbridge secret set github-2fa --kind totp --use-only
      trollbridge secret bearer stripe | curl -H @- https://api.example.org/v1/
      trollbridge secret list --within 30d
    """  # noqa: D301  # \b is click's mark for lines that stay as they are


@ordering(secret, "set", reports=True)
@_NAME
@click.option("--kind", type=click.Choice(SECRET_KINDS), default=TOKEN, show_default=True, help="What it is used for.")
@click.option("--use-only", is_flag=True, help="Never show it again.")
@click.option("--expires", type=Moment(), default=0, metavar="WHEN", help="Remind before 90d, 2027-12-31 …")
@click.option("--note", default="", help="A note for yourself; it is listed.")
@click.option("--replace", is_flag=True, help="Put it in the place of the one of that name.")
@click.option("--whole", is_flag=True, help="Keep the last line break of standard input, too.")
@click.option("--empty", is_flag=True, help="Keep an empty one, if standard input is empty.")
def set_(  # noqa: PLR0913  # click's way: an argument for each option
    *, name: str, kind: str, use_only: bool, expires: int, note: str, replace: bool, whole: bool, empty: bool
) -> work_orders.SetSecret:
    """Keep an API key under NAME; from standard input, or typed twice at the terminal.

    One line break at the end of standard input is not part of the key, unless --whole is given. An empty standard input
    is refused, as of a command that has failed, unless --empty is given.

    \b
    Kinds:
      token        any bytes: get, bearer
      hmac         hmac; sign-request with hmac-sha256
      totp         base32, or an otpauth:// address: totp
      ed25519      a private key, PEM or 32 bytes: sign-request
      ecdsa-p256   the same

    \b
    Examples:
      trollbridge secret set stripe
      trollbridge secret set webhook --kind hmac --use-only < key.bin
      trollbridge secret set stripe --replace --expires 90d \\
          --note "rotated by Ada" < new
    """  # noqa: D301
    return work_orders.SetSecret(name, kind, use_only, expires, note, replace, whole, empty)


@ordering(secret, "get")
@_NAME
@output
@force
def get(*, name: str, output: str | None, force: bool) -> work_orders.GetSecret:
    """Write an API key to standard output, exactly as it was kept; at a terminal with a line break behind it.

    \b
    Examples:
      export STRIPE="$(trollbridge secret get stripe)"
      trollbridge secret get tls-key -o key.pem
    """  # noqa: D301
    return work_orders.GetSecret(name, target(output, force=force))


@ordering(secret, "rename")
@_NAME
@click.argument("new_name", metavar="NEW-NAME", callback=_named)
def rename(*, name: str, new_name: str) -> work_orders.RenameSecret:
    """Give an API key another name; its constraints go with it.

    \b
    Example:
      trollbridge secret rename stripe stripe-old
    """  # noqa: D301
    return work_orders.RenameSecret(name, new_name)


@ordering(secret, "delete")
@_NAME
@sure
def delete(*, name: str, sure: bool) -> work_orders.DeleteSecret:
    """Delete an API key.

    \b
    Example:
      trollbridge secret delete stripe-old
    """  # noqa: D301
    return work_orders.DeleteSecret(name, sure)


@ordering(secret, "list", reports=True)
@click.option("--within", type=Span(), metavar="SPAN", help="Only those that expire within 30d …, or have.")
def list_(*, within: int | None) -> work_orders.ListSecrets:
    """List the API keys, without their values; tell which expire within 30 days, or have expired.

    \b
    Example, for a daily reminder:
      trollbridge secret list --within 14d \\
          --password-file ~/.config/vault-password
    """  # noqa: D301
    return work_orders.ListSecrets(within)


@ordering(secret, "hmac")
@_NAME
@click.argument("file", default="-", type=FILE)
@click.option("--algorithm", type=_HASHES, default="sha256", show_default=True, help="The hash of the HMAC.")
@click.option("--encoding", type=_ENCODINGS, default="hex", show_default=True, help="How the HMAC is written.")
def hmac(*, name: str, file: str, algorithm: str, encoding: str) -> work_orders.Hmac:
    """Write the HMAC (RFC 2104) of FILE, or of standard input, under an API key of kind hmac.

    \b
    Example:
      trollbridge secret hmac webhook body.json
    """  # noqa: D301
    return work_orders.Hmac(name, file, algorithm, encoding)


def _header(_context: click.Context, _param: click.Parameter, value: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    pairs = [each.partition(":") for each in value]
    if not all(colon for _, colon, _ in pairs):
        msg = "a header is written NAME: VALUE"
        raise click.BadParameter(msg)
    return tuple((name.strip(), text.strip()) for name, _, text in pairs)


@ordering(secret, "sign-request", reports=True)
@_NAME
@click.argument("method")
@click.argument("url")
@click.option("-H", "--header", "headers", multiple=True, callback=_header, metavar="NAME:VALUE", help="A header.")
@click.option("--cover", "components", multiple=True, metavar="COMPONENT", help="Sign @method, content-type, …")
@click.option("--body", default="", type=FILE, metavar="FILE", help="Cover the body by its Content-Digest (RFC 9530).")
@click.option("--created", type=int, metavar="SECONDS", help="The time of the signature, since 1970; else now.")
@click.option("--expires", "lifetime", type=Span(), default=0, metavar="SPAN", help="It is good for 5m …")
@click.option("--keyid", "key_id", default="", help="What the other side knows the key by.")
@click.option("--nonce", default="", help="A value that the other side asked for.")
@click.option("--tag", "purpose", default="", help="What the signature is for.")
@click.option("--label", default="sig1", show_default=True, help="The signature's label.")
def sign_request(  # noqa: PLR0913  # click's way: an argument for each option
    *,
    name: str,
    method: str,
    url: str,
    headers: tuple[tuple[str, str], ...],
    components: tuple[str, ...],
    body: str,
    created: int | None,
    lifetime: int,
    key_id: str,
    nonce: str,
    purpose: str,
    label: str,
) -> work_orders.SignRequest:
    """Sign an HTTP request (RFC 9421); write the headers that it gets, one a line.

    Without --cover the method, the target URI and every given header are covered, and the body's digest if there is
    one. Headers that hold credentials belong into no argument: they need no signature.

    \b
    Examples:
      trollbridge secret sign-request webhook GET \\
          https://api.example.org/v1/charges
      trollbridge secret sign-request webhook POST https://api.example.org/v1/ \\
          --body charge.json -H "Content-Type: application/json" --expires 5m
    """  # noqa: D301
    return work_orders.SignRequest(
        name, method, url, headers, components, created, lifetime, key_id, nonce, purpose, label, body
    )


@ordering(secret, "bearer")
@_NAME
@output
@force
def bearer(*, name: str, output: str | None, force: bool) -> work_orders.Bearer:
    """Write the header "Authorization: Bearer …" of an API key, for one request.

    The header holds the key, so there is none for a key that may only be used.

    \b
    Example, which keeps the key out of curl's arguments:
      trollbridge secret bearer stripe | curl -H @- https://api.example.org/v1/
    """  # noqa: D301
    return work_orders.Bearer(name, target(output, force=force))


@ordering(secret, "totp", reports=True)
@_NAME
def totp(*, name: str) -> work_orders.Totp:
    """Write the one-time code (RFC 6238) of now.

    \b
    Example:
      trollbridge secret totp github-2fa
    """  # noqa: D301
    return work_orders.Totp(name)


@ordering(secret, "constrain", reports=True)
@_NAME
@constraints
def constrain(  # noqa: PLR0913  # click's way: an argument for each option
    *,
    name: str,
    approval: bool | None,
    members: tuple[str, ...],
    any_member: bool,
    per_hour: int | None,
    until: int | None,
) -> work_orders.ConstrainSecret:
    """Limit the use of an API key, on every way to it; without an option, show its constraints.

    Less than before asks for the vault's password afresh.

    \b
    Examples:
      trollbridge secret constrain stripe --approval
      trollbridge secret constrain webhook --per-hour 100 --until 2027-12-31
    """  # noqa: D301
    return work_orders.ConstrainSecret(name, limits(approval, members, per_hour, until, any_member=any_member))
