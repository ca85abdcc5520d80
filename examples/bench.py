"""The UI: streams what a program prints, and waits for a file of the extension's."""

from __future__ import annotations

from trollbridge.ui_adapter import Bridge, UiActor


class Bench(UiActor):
    """Shows what the hosts have."""

    def main(self, bridge: Bridge) -> None:
        """Run git, watch the folder until the file is there, and read it."""
        for output in bridge.programs.run("git", ("--version",)):
            print(output.data.decode(), end="")
        with bridge.files.watch("out") as changes:
            for _ in changes:  # the first says that the watch has begun
                if bridge.files.exists("out/stamps.txt").get(timeout=5):
                    break
        print(b"".join(bridge.files.read("out/stamps.txt")).decode())
