"""Contender: trollbridge itself, with every layer on; run as a program it is the supervisor of the application.

Imports trollbridge's actors layer, and names the actors, so that only their own processes import them.
"""

from __future__ import annotations

import sys

from trollbridge.actors.app import App, Child

APP = App(
    ui=Child("tests.benchmarks.ours_console:Console"),
    enclaves=[Child("tests.benchmarks.ours_enclave:Echo")],
    grants={"console": ["echo.echo", "echo.pid", "echo.die"]},
)

if __name__ == "__main__":
    sys.exit(APP.run())
