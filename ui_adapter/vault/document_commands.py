"""`trollbridge sign`, `verify`, `encrypt`, `decrypt` and `trollbridge file …`.

May import: `click`, our options and orders. Invariant: a command is parsed here and carried out elsewhere.
"""

from __future__ import annotations

import click

from trollbridge.messages.vault import CLEAR, DETACHED, INLINE
from trollbridge.ui_adapter.vault import work_orders
from trollbridge.ui_adapter.vault.options import EPILOG, FILE, SETTINGS, force, ordering, output, target

_TOP: click.Group = click.Group()
_FILE = click.argument("file", default="-", type=FILE)


@ordering(_TOP, "sign", reports=False, uses_key=True)
@_FILE
@output
@force
@click.option("-u", "--key", default="", metavar="KEY", help="Sign with KEY; else with the vault's only own key.")
@click.option("--detached", "mode", flag_value=DETACHED, default=DETACHED, help="Only the signature (the default).")
@click.option("--inline", "mode", flag_value=INLINE, help="The document and its signature in one message.")
@click.option("--clear", "mode", flag_value=CLEAR, help="Text framed by its signature, readable as it is.")
@click.option("--binary", is_flag=True, help="Without ASCII armor.")
def sign(  # noqa: PLR0913  # click's way: an argument for each option
    *, file: str, output: str | None, force: bool, key: str, mode: str, binary: bool
) -> work_orders.Sign:
    """Sign FILE, or standard input, with an OpenPGP key of the vault.

    \b
    Examples:
      trollbridge sign letter.txt -o letter.txt.asc
      git archive HEAD | trollbridge sign -u ada@example.org > release.tar.asc
      trollbridge sign --clear notice.txt | mail -s notice all@example.org
    """  # noqa: D301  # \b is click's mark for lines that stay as they are
    if binary and mode == CLEAR:
        msg = "--clear is text; it has no binary form"
        raise click.UsageError(msg)
    place = target(output, force=force, public=mode == DETACHED)
    return work_orders.Sign(file, place, key, mode, not binary)


@ordering(_TOP, "verify", reports=True)
@click.argument("signature", type=FILE)
@click.argument("file", required=False, type=FILE)
@click.option("-o", "--output", type=FILE, metavar="FILE", help="Write what an inline message says to FILE.")
@force
@click.option("--signer", default="", metavar="KEY", help="Succeed only if KEY has signed.")
def verify(*, signature: str, file: str | None, output: str | None, force: bool, signer: str) -> work_orders.Verify:
    """Check a signature, and tell who signed and how far that key is trusted.

    With two files: the detached SIGNATURE of FILE. With one: a message that holds its signature (inline or clear); its
    content is written only where -o says, and only once it is verified. Every signature that can be checked must be
    valid, and there must be one.

    A valid signature shows that the key's owner has signed. Who that is shows the trust: own, trusted (`key trust`), or
    unknown. A script should say whom it expects, with --signer and a fingerprint.

    \b
    Examples:
      trollbridge verify letter.txt.asc letter.txt
      trollbridge verify --signer ben@example.org release.tar.asc release.tar
      trollbridge verify notice.asc -o notice.txt
    """  # noqa: D301
    if file is None:
        return work_orders.Verify(signature, "", None if output is None else target(output, force=force), signer)
    if output is not None:
        msg = "-o is for a message that holds what was signed; a detached signature says nothing else"
        raise click.UsageError(msg)
    if file == signature == "-":
        msg = "only one of the two can be standard input"
        raise click.UsageError(msg)
    return work_orders.Verify(file, signature, None, signer)


@ordering(_TOP, "encrypt", uses_key=True)
@_FILE
@click.option("-r", "--recipient", "recipients", multiple=True, required=True, metavar="KEY", help="Who can read it.")
@output
@force
@click.option("--sign", is_flag=True, help="Sign it, inside.")
@click.option("-u", "--key", default="", metavar="KEY", help="Sign it with KEY.")
@click.option("-a", "--armor", is_flag=True, help="As ASCII text.")
def encrypt(  # noqa: PLR0913  # click's way: an argument for each option
    *, file: str, recipients: tuple[str, ...], output: str | None, force: bool, sign: bool, key: str, armor: bool
) -> work_orders.Encrypt:
    """Encrypt FILE, or standard input, to every recipient, and to nobody else: name yourself to read it later.

    A recipient whose key is expired or revoked is refused. A name or an e-mail address that several keys have means the
    one that is trusted more than all others (own, `key trust`, unknown), else none. Anybody can put any name on a key:
    one that was found by its name and has not been vouched for is told on standard error, with its fingerprint.

    \b
    Examples:
      trollbridge encrypt -r ben@example.org -r ada@example.org plan.pdf \\
          -o plan.pdf.pgp
      tar c folder | trollbridge encrypt -r ben@example.org --sign \\
          > folder.tar.pgp
      echo hello | trollbridge encrypt -r ben@example.org -a
    """  # noqa: D301
    place = target(output, force=force, public=True)
    return work_orders.Encrypt(file, place, recipients, sign or bool(key), key, armor)


@ordering(_TOP, "decrypt", reports=True, uses_key=True)
@_FILE
@output
@force
@click.option("--signer", default="", metavar="KEY", help="Succeed only if KEY has signed it.")
def decrypt(*, file: str, output: str | None, force: bool, signer: str) -> work_orders.Decrypt:
    """Decrypt FILE, or standard input, and check the signatures inside; then tell who signed it.

    Nothing is written before all of it is decrypted and every signature that can be checked is valid. Without -o the
    plaintext goes to standard output and the report to standard error.

    \b
    Examples:
      trollbridge decrypt plan.pdf.pgp -o plan.pdf
      trollbridge decrypt --signer ben@example.org < folder.tar.pgp | tar x
    """  # noqa: D301
    return work_orders.Decrypt(file, target(output, force=force), signer)


@click.group(context_settings=SETTINGS, epilog=EPILOG)
def file() -> None:
    """Seal files under the vault's own key, and open them.

    A sealed file opens with this vault only, and so with all of its layers. Use it for files that are yours and that no
    OpenPGP program has to read; it depends on no key's expiry. The format is documented, and detects any change, any
    truncation and any reordering.

    Only one command at a time has a vault open; another one waits for it, --wait seconds at most. So a pipeline of two
    commands on one vault works as far as the second one can take what the first one writes before it opens the vault:
    1 MiB. For more, use a file between them.

    \b
    Examples:
      trollbridge file seal taxes.pdf -o taxes.pdf.sealed
      trollbridge file open taxes.pdf.sealed -o taxes.pdf
      tar c photos | trollbridge file seal > photos.tar.sealed
    """  # noqa: D301


@ordering(file, "seal")
@_FILE
@output
@force
def seal(*, file: str, output: str | None, force: bool) -> work_orders.SealFile:
    """Seal FILE, or standard input. The original stays as it is.

    \b
    Example:
      trollbridge file seal taxes.pdf -o taxes.pdf.sealed
    """  # noqa: D301
    return work_orders.SealFile(file, target(output, force=force, public=True))


@ordering(file, "open")
@_FILE
@output
@force
def open_(*, file: str, output: str | None, force: bool) -> work_orders.OpenFile:
    """Open the sealed FILE, or standard input; nothing is written before all of it is found unchanged.

    \b
    Example:
      trollbridge file open taxes.pdf.sealed -o taxes.pdf
    """  # noqa: D301
    return work_orders.OpenFile(file, target(output, force=force))


COMMANDS: tuple[click.Command, ...] = (sign, verify, encrypt, decrypt, file)
