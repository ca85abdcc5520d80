"""A supervisor that publishes its figures often: `python -m tests.operations.measured FILE`; its UI is a puppet."""

from __future__ import annotations

import sys

from tests.harness.replacing import replace
from tests.harness.stage import puppet_app
from trollbridge.actors.operations import metrics
from trollbridge.actors.supervision.supervisor import Supervisor
from trollbridge.ui_adapter.metrics_file import metrics_to

if __name__ == "__main__":
    replace(metrics, EVERY=0.05)
    sys.exit(Supervisor(puppet_app(), publish=metrics_to(sys.argv[1])).run())
