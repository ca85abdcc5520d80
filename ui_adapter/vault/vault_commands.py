"""`trollbridge vault …`: making a vault, and what protects it.

May import: `click`, our options and orders. Invariant: a command is parsed here and carried out elsewhere.
"""

from __future__ import annotations

import click

from trollbridge.messages.vault import KEYCHAIN_ONLY, MODES, PASSWORD_ONLY, TWO_LAYERS
from trollbridge.ui_adapter.vault import orders
from trollbridge.ui_adapter.vault.options import EPILOG, SETTINGS, force, new_password, ordering, source, target


@click.group(context_settings=SETTINGS, epilog=EPILOG)
def vault() -> None:
    """Make a vault, and change what protects it.

    A vault is one file, in a folder of its own. Two layers protect it: a root of 32 random bytes in the keychain of
    your desktop (the Secret Service), and a password. Neither alone opens anything. Where there is no keychain, choose
    a vault with a password only; how a vault is protected is recorded in it and never changes by itself.

    What was opened at a path, and in which mode, is noted in $XDG_STATE_HOME/trollbridge/vaults (else
    ~/.local/state/…), outside of the vault's folder. From then on no other vault and no other mode is opened there:
    whoever can replace the file cannot have you put your keys into one that they can read. The first opening has
    nothing to compare with; --mode says what to expect.

    \b
    Passwords come from one of these, never from an argument and never from a variable:
      --password-file FILE    the first line of FILE (- is standard input)
      --password-fd N         the next line of an open descriptor: 3< <(pass show vault)
      the terminal            if there is one; without one nothing is asked

    \b
    Examples:
      trollbridge vault create
      trollbridge vault create --password-only --vault /srv/ada/vault/keys.vault
      trollbridge vault status --json
      trollbridge vault recovery export ~/usb/vault.recovery
    """  # noqa: D301  # \b is click's mark for lines that stay as they are


@ordering(vault, "create", reports=True)
@click.option("--password-only", is_flag=True, help="One layer: the password. Needs no keychain.")
@click.option("--keychain-only", is_flag=True, help="One layer: the keychain. Whoever has your session opens it.")
def create(*, password_only: bool, keychain_only: bool) -> orders.CreateVault:
    """Make a new vault.

    Asks for the new password twice, or takes it from --password-file or --password-fd. A vault that is there already
    is never touched. The folder is made if it is missing, readable by you alone; it should hold nothing else, since the
    process that keeps the vault may write in all of it.

    \b
    Examples:
      trollbridge vault create
      trollbridge vault create --password-only
      trollbridge vault create --password-only --password-fd 3 \\
          3< <(pass show vault)
    """  # noqa: D301
    if password_only and keychain_only:
        msg = "--password-only and --keychain-only exclude each other; without either there are both layers"
        raise click.UsageError(msg)
    mode = PASSWORD_ONLY if password_only else KEYCHAIN_ONLY if keychain_only else TWO_LAYERS
    return orders.CreateVault(mode)


@ordering(vault, "status", reports=True, opens=False)
def status() -> orders.ShowStatus:
    """Tell whether there is a vault, how it is protected, and how often it was tried with a wrong password.

    Asks for nothing and opens nothing. The mode is what the file says; opening the vault proves it. If it is not the
    vault, or not the mode, that was opened here before, that is told. Ends with 8 if there is no vault.

    \b
    Examples:
      trollbridge vault status
      trollbridge vault status --json | jq -r .status.mode
    """  # noqa: D301
    return orders.ShowStatus()


@ordering(vault, "unlock-test", reports=True)
def unlock_test() -> orders.TryUnlock:
    """Open the vault and close it again, to see whether the password is right and the keychain answers.

    \b
    Examples:
      trollbridge vault unlock-test && echo right
      trollbridge vault unlock-test --mode keychain-and-password
    """  # noqa: D301
    return orders.TryUnlock()


@ordering(vault, "adopt", reports=True)
def adopt() -> orders.AdoptVault:
    """Open the vault that is at the path now, and accept it there from now on, in place of any that was known.

    Only if you have put it there yourself: restored an older copy under another vault's name, or made it elsewhere.
    --mode says how it must be protected; without it the file's own word is taken.

    \b
    Examples:
      trollbridge vault status
      trollbridge vault adopt --mode keychain-and-password
    """  # noqa: D301
    return orders.AdoptVault()


@ordering(vault, "change-password")
@new_password("new-password", "the new password")
def change_password(*, new_password_file: str | None, new_password_fd: int | None) -> orders.ChangePassword:
    """Put the vault under another password.

    Needs the old one; a vault without a password gets one from change-mode. Copies of the file that were made before
    still open with the old password: the keys in the vault are the same. After a theft of both, make new keys.

    \b
    Examples:
      trollbridge vault change-password
      trollbridge vault change-password --password-file old \\
          --new-password-file new
    """  # noqa: D301
    return orders.ChangePassword(source(new_password_file, new_password_fd, "--new-password"))


@ordering(vault, "rotate")
def rotate() -> orders.RotateRoot:
    """Replace the root in the keychain by a new one.

    The vault opens with the old or with the new one at any moment, whatever happens. Recovery files of the old root
    are worthless afterwards: export a new one.

    \b
    Example:
      trollbridge vault rotate
    """  # noqa: D301
    return orders.RotateRoot()


@ordering(vault, "change-mode")
@click.argument("new_mode", metavar="MODE", type=click.Choice(MODES))
@new_password("new-password", "the new password, where the vault had none,")
def change_mode(*, new_mode: str, new_password_file: str | None, new_password_fd: int | None) -> orders.ChangeMode:
    """Protect the vault in another mode: keychain-and-password, password-only or keychain-only.

    Other machines and accounts that have opened this file in its old mode refuse the new one, once, until they are
    called with --mode.

    \b
    Examples:
      trollbridge vault change-mode keychain-and-password
      trollbridge vault change-mode password-only
    """  # noqa: D301
    return orders.ChangeMode(new_mode, source(new_password_file, new_password_fd, "--new-password"))


@ordering(vault, "check", reports=True)
@click.option("--locked", is_flag=True, help="Do not open the vault; find what shows without its key.")
def check(*, locked: bool) -> orders.CheckVault:
    """Look for damage in the vault's file, and tell which record it is in.

    Ends with 0 if there is none, and with 1 if there is.

    \b
    Examples:
      trollbridge vault check
      trollbridge vault check --locked --vault /backup/default.vault
    """  # noqa: D301
    return orders.CheckVault(locked)


@vault.group(context_settings=SETTINGS, epilog=EPILOG)
def recovery() -> None:
    """Keep a way to the vault if the keychain is lost, or move to another machine.

    The recovery file holds the root of the keychain, encrypted under a password of its own. It replaces the keychain
    and nothing else: the vault's file and the vault's password are still needed.

    \b
    Examples:
      trollbridge vault recovery export /media/usb/vault.recovery
      trollbridge vault recovery import /media/usb/vault.recovery
    """  # noqa: D301


@ordering(recovery, "export")
@click.argument("file", type=click.Path(dir_okay=False))
@force
@new_password("recovery-password", "the recovery file's password")
def recovery_export(
    *,
    file: str,
    force: bool,
    recovery_password_file: str | None,
    recovery_password_fd: int | None,
) -> orders.ExportRecovery:
    """Write the recovery file, under a password of its own, readable by you alone.

    \b
    Example:
      trollbridge vault recovery export /media/usb/vault.recovery
    """  # noqa: D301
    read = source(recovery_password_file, recovery_password_fd, "--recovery-password")
    return orders.ExportRecovery(target(file, force=force), read)


@ordering(recovery, "import")
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True))
@new_password("recovery-password", "the recovery file's password")
def recovery_import(
    *, file: str, recovery_password_file: str | None, recovery_password_fd: int | None
) -> orders.ImportRecovery:
    """Put the root of a recovery file into this machine's keychain; the vault's file must be here already.

    \b
    Example, on the new machine:
      scp old:.local/share/trollbridge/vault/default.vault \\
          ~/.local/share/trollbridge/vault/
      trollbridge vault recovery import /media/usb/vault.recovery
    """  # noqa: D301
    return orders.ImportRecovery(file, source(recovery_password_file, recovery_password_fd, "--recovery-password"))
