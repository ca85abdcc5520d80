"""Whole files through the helpers of a user interface, in a puppet."""

from __future__ import annotations

import hashlib
import io
import random
from typing import TYPE_CHECKING

from trollbridge.ui_adapter import files

if TYPE_CHECKING:
    from tests.harness.puppet import Strings


def upload(strings: Strings, path: str, size: int) -> dict[str, object]:
    """Write a file of random content; return its size, what was reported last, and its digest."""
    content = random.Random(size).randbytes(size)
    reported: list[int] = []
    found = files.upload(strings.bridge.files, path, io.BytesIO(content), lambda done, _: reported.append(done))
    assert reported == sorted(reported)
    return {"size": found, "reported": reported[-1], "digest": hashlib.sha256(content).hexdigest()}


def append(strings: Strings, path: str, data: bytes) -> int:
    """Write at the end of a file; return its size."""
    return files.upload(strings.bridge.files, path, io.BytesIO(data), append=True)


def download(strings: Strings, path: str) -> dict[str, object]:
    """Read a file; return what `upload` does."""
    target, reported = io.BytesIO(), [0]
    found = files.download(
        strings.bridge.files, path, target, lambda done, total: reported.append(done and (total or 0))
    )
    return {"size": found, "reported": reported[-1], "digest": hashlib.sha256(target.getvalue()).hexdigest()}
