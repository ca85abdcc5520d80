"""`trollbridge key …`: the OpenPGP keys of the vault.

May import: `click`, our options and orders. Invariant: a command is parsed here and carried out elsewhere.
"""

from __future__ import annotations

import click

from trollbridge.messages.vault import COMPAT, DEFAULT, PROFILES
from trollbridge.ui_adapter.vault import key_orders
from trollbridge.ui_adapter.vault.constraining import constraints, limits
from trollbridge.ui_adapter.vault.options import (
    EPILOG,
    FILE,
    SETTINGS,
    Moment,
    Span,
    force,
    new_password,
    ordering,
    output,
    source,
    sure,
    target,
)


@click.group(context_settings=SETTINGS, epilog=EPILOG)
def key() -> None:
    """Make, import, export and change OpenPGP keys.

    KEY is a fingerprint, a key id of 16 digits, an exact user id or an e-mail address. A name that fits several keys is
    refused. Secret keys are made in the vault's own process and never leave it, but for `export --secret`.

    \b
    Examples:
      trollbridge key generate "Ada <ada@example.org>" --expires 2y
      trollbridge key export ada@example.org > ada.asc
      curl -fsS https://example.org/ben.asc | trollbridge key import
      trollbridge key list --json | jq -r '.[] | select(.secret) | .fingerprint'
    """  # noqa: D301  # \b is click's mark for lines that stay as they are


@ordering(key, "generate", reports=True)
@click.argument("user_id", metavar="USERID")
@click.option("--profile", type=click.Choice(PROFILES), help="Which kind of key; the default is Curve25519, version 4.")
@click.option("--compat", is_flag=True, help="The same as --profile compat: correspondents have GnuPG 2.2.")
@click.option("--expires", type=Span(), default=0, metavar="SPAN", help="End after 2y, 90d …; else it never ends.")
def generate(*, user_id: str, profile: str | None, compat: bool, expires: int) -> key_orders.GenerateKey:
    """Make a key pair for USERID, such as "Ada <ada@example.org>".

    \b
    Profiles:
      default   version 4, Ed25519 and X25519: read by every OpenPGP program
      compat    the same, announcing only what GnuPG 2.2 knows, for its users
      v6        version 6 (RFC 9580): GnuPG reads none
      pq        version 6 with ML-DSA-65+Ed25519 and ML-KEM-768+X25519,
                against quantum computers: few read it yet

    \b
    Examples:
      trollbridge key generate "Ada <ada@example.org>"
      trollbridge key generate "Ada <ada@example.org>" --compat --expires 2y
    """  # noqa: D301
    if compat and profile not in {None, COMPAT}:
        msg = f"--compat and --profile {profile} exclude each other"
        raise click.UsageError(msg)
    return key_orders.GenerateKey(user_id, COMPAT if compat else profile or DEFAULT, expires)


@ordering(key, "import", reports=True)
@click.argument("file", default="-", type=FILE)
@new_password("own-password", "the password of the secret key in it")
def import_(*, file: str, own_password_file: str | None, own_password_fd: int | None) -> key_orders.ImportKeys:
    """Take keys from FILE or standard input into the vault: certificates of others, or secret keys of your own.

    A secret key that is protected by a password needs it once; in the vault it is protected by the vault. The file is
    left as it is: delete it if it held a secret key.

    \b
    Examples:
      trollbridge key import ben.asc
      gpg --export-secret-keys ada@example.org | trollbridge key import
    """  # noqa: D301
    return key_orders.ImportKeys(file, source(own_password_file, own_password_fd, "--own-password"))


@ordering(key, "list", reports=True)
@click.option("--secret", is_flag=True, help="Only keys whose secret half is in the vault.")
def list_(*, secret: bool) -> key_orders.ListKeys:
    """List the keys: own ones first, then those of others.

    \b
    Example:
      trollbridge key list --secret
    """  # noqa: D301
    return key_orders.ListKeys(secret)


@ordering(key, "show", reports=True)
@click.argument("key_name", metavar="KEY")
def show(*, key_name: str) -> key_orders.ShowKey:
    """Show everything about a key: user ids, subkeys, times, trust, constraints.

    \b
    Example:
      trollbridge key show ben@example.org
    """  # noqa: D301
    return key_orders.ShowKey(key_name)


@ordering(key, "export", uses_key=True)
@click.argument("key_name", metavar="KEY")
@output
@force
@click.option("--binary", is_flag=True, help="Without ASCII armor (certificates only).")
@click.option("--secret", is_flag=True, help="The secret key too, protected by a password that you choose now.")
@new_password("own-password", "the password that is to protect it")
def export(  # noqa: PLR0913  # click's way: an argument for each option
    *,
    key_name: str,
    output: str | None,
    force: bool,
    binary: bool,
    secret: bool,
    own_password_file: str | None,
    own_password_fd: int | None,
) -> key_orders.ExportPublic | key_orders.ExportSecret:
    """Write a certificate, for others to encrypt to and to verify with; or the secret key, as a copy for yourself.

    --secret asks for the vault's password afresh, and writes the key protected by another one, for any OpenPGP program.

    \b
    Examples:
      trollbridge key export ada@example.org -o ada.asc
      trollbridge key export ada@example.org --secret -o ada.secret.asc
    """  # noqa: D301
    place = target(output, force=force, public=not secret)
    if not secret:
        return key_orders.ExportPublic(key_name, place, not binary)
    if binary:
        msg = "--binary is for certificates; a secret key is armored"
        raise click.UsageError(msg)
    return key_orders.ExportSecret(key_name, place, source(own_password_file, own_password_fd, "--own-password"))


@ordering(key, "password", uses_key=True)
@click.argument("key_name", metavar="KEY")
@click.option("--remove", is_flag=True, help="The key needs no password of its own any more.")
@new_password("own-password", "the key's new password")
def password(
    *, key_name: str, remove: bool, own_password_file: str | None, own_password_fd: int | None
) -> key_orders.SetKeyPassword:
    """Give a key a password of its own, which every use asks for besides the vault's; or take it away.

    \b
    Examples:
      trollbridge key password ada@example.org
      trollbridge key password ada@example.org --remove
    """  # noqa: D301
    own = source(own_password_file, own_password_fd, "--own-password")
    if remove and own.given:
        msg = "--remove takes no new password"
        raise click.UsageError(msg)
    return key_orders.SetKeyPassword(key_name, remove, own)


@ordering(key, "add-user-id", reports=True, uses_key=True)
@click.argument("key_name", metavar="KEY")
@click.argument("user_id", metavar="USERID")
def add_user_id(*, key_name: str, user_id: str) -> key_orders.AddUserId:
    """Add a user id to an own key. Export the certificate afterwards: others do not learn of it by themselves.

    \b
    Example:
      trollbridge key add-user-id ada@example.org \\
          "Ada at work <ada@work.example>"
    """  # noqa: D301
    return key_orders.AddUserId(key_name, user_id)


@ordering(key, "revoke-user-id", reports=True, uses_key=True)
@click.argument("key_name", metavar="KEY")
@click.argument("user_id", metavar="USERID")
def revoke_user_id(*, key_name: str, user_id: str) -> key_orders.RevokeUserId:
    """Say that a user id is no longer an own key's. Export the certificate afterwards.

    \b
    Example:
      trollbridge key revoke-user-id ada@example.org \\
          "Ada at work <ada@work.example>"
    """  # noqa: D301
    return key_orders.RevokeUserId(key_name, user_id)


@ordering(key, "expire", reports=True, uses_key=True)
@click.argument("key_name", metavar="KEY")
@click.argument("when", metavar="WHEN", type=Moment())
def expire(*, key_name: str, when: int) -> key_orders.ExpireKey:
    """Set when an own key and its subkeys end: 2y, 90d, 2027-12-31, or never. Export the certificate afterwards.

    \b
    Example:
      trollbridge key expire ada@example.org 2y
    """  # noqa: D301
    return key_orders.ExpireKey(key_name, when)


@ordering(key, "revoke", reports=True, uses_key=True)
@click.argument("key_name", metavar="KEY")
@sure
def revoke(*, key_name: str, sure: bool) -> key_orders.RevokeKey:
    """Revoke an own key for good. It still decrypts old messages. Export the certificate afterwards.

    \b
    Example:
      trollbridge key revoke ada@example.org
    """  # noqa: D301
    return key_orders.RevokeKey(key_name, sure)


@ordering(key, "revocation", uses_key=True)
@click.argument("key_name", metavar="KEY")
@output
@force
def revocation(*, key_name: str, output: str | None, force: bool) -> key_orders.ExportRevocation:
    """Write the certificate that revokes an own key, made when the key was; keep it where the vault is not.

    Whoever imports it holds the key for revoked, so keep it from others too.

    \b
    Example:
      trollbridge key revocation ada@example.org -o /media/usb/ada.revocation.asc
    """  # noqa: D301
    return key_orders.ExportRevocation(key_name, target(output, force=force))


@ordering(key, "delete")
@click.argument("key_name", metavar="KEY")
@sure
def delete(*, key_name: str, sure: bool) -> key_orders.DeleteKey:
    """Delete a key from the vault. What was encrypted to an own key can then be read by nobody.

    \b
    Example:
      trollbridge key delete ben@example.org
    """  # noqa: D301
    return key_orders.DeleteKey(key_name, sure)


@ordering(key, "trust", reports=True)
@click.argument("key_name", metavar="KEY")
@click.option("--revoke", "revoked", is_flag=True, help="Take it back.")
def trust(*, key_name: str, revoked: bool) -> key_orders.TrustKey:
    """Say that a certificate is whose it says, because you have compared its fingerprint with its owner.

    It holds for the user ids that the certificate has now; for one that it gets later, say it again.

    \b
    Examples:
      trollbridge key trust ben@example.org
      trollbridge key trust ben@example.org --revoke
    """  # noqa: D301
    return key_orders.TrustKey(key_name, not revoked)


@ordering(key, "constrain", reports=True)
@click.argument("key_name", metavar="KEY")
@constraints
def constrain(  # noqa: PLR0913  # click's way: an argument for each option
    *,
    key_name: str,
    approval: bool | None,
    members: tuple[str, ...],
    any_member: bool,
    per_hour: int | None,
    until: int | None,
) -> key_orders.ConstrainKey:
    """Limit the use of an own key, on every way to it; without an option, show its constraints.

    Less than before asks for the vault's password afresh.

    \b
    Examples:
      trollbridge key constrain ada@example.org --approval --per-hour 10
      trollbridge key constrain ada@example.org --member command \\
          --until 2027-12-31
      trollbridge key constrain ada@example.org --no-approval --per-hour 0 \\
          --any-member --until never
    """  # noqa: D301
    return key_orders.ConstrainKey(key_name, limits(approval, members, per_hour, until, any_member=any_member))
