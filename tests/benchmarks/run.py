"""Starts the benchmark: `python tests/benchmarks/run.py [--quick] [--seconds N] [--json FILE] [--only NAME …]`.

Imports the standard library only. It does nothing but make the checkout importable, which a program in a folder of
its own is not, and hand over to `tests.benchmarks.program`.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    runpy.run_module("tests.benchmarks.program", run_name="__main__", alter_sys=True)
