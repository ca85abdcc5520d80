"""The facts of the machine that a figure depends on: kernel, processor, interpreter, versions.

Imports the standard library only. It names no host, no user and no path.
"""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("trollbridge", "cryptography", "msgspec", "pykka", "pynacl")


def processor() -> str:
    """Name the processor's model as the kernel does."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.machine()
    models = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")]
    return models[0] if models else platform.machine()


def package_versions(names: tuple[str, ...] = PACKAGES) -> dict[str, str]:
    """Give the installed version of each package, leaving out what is not installed."""
    found: dict[str, str] = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def machine_facts() -> dict[str, object]:
    """Collect what is written beside the figures."""
    return {
        "kernel": platform.release(),
        "processor": processor(),
        "cpus": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "packages": package_versions(),
    }
