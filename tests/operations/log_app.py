"""The puppet's application as a declaration, for tests that run it by the command."""

from __future__ import annotations

from tests.harness.stage import puppet_app

app = puppet_app()
