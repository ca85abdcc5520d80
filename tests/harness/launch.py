"""The supervisor's program in tests: `python -m tests.harness.launch module:name [settings as JSON]`.

`name` is an `App`, or a function that takes the settings and returns one.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module

from trollbridge.actors.app import App


def main() -> int:
    """Run the application that the arguments name; return its exit code."""
    module, _, name = sys.argv[1].partition(":")
    found = getattr(import_module(module), name)
    app: App = found if isinstance(found, App) else found(**json.loads(sys.argv[2] if len(sys.argv) > 2 else "{}"))
    return app.run()


if __name__ == "__main__":
    sys.exit(main())
