"""The password manager of the examples, with a thief in the place of its extension, under the very same grants."""

from __future__ import annotations

from importlib import import_module

from trollbridge.actors import App, Child

honest: App = import_module("passwords").app  # the test runs this in the example's folder
app = App(
    ui=honest.ui,
    enclaves=honest.enclaves,
    hosts=honest.hosts,
    extensions=[Child("./thief.py:Thief", name="autofill")],
    grants={str(caller): granted for caller, granted in honest.grants.items()},
)
