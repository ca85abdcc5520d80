"""Foreign code in the core UI's own process: it finds no key, it opens nothing, and its process joins no other ring."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.enclave.memory_scan import scan
from tests.extensions import plugin_acts
from tests.harness import acts
from tests.harness.gate import Gate
from tests.harness.probe import SECRET
from tests.harness.puppeteer import Backstage, Puppeteer, Told, perform
from trollbridge.messages.control import FROM_CHILD, Dismantled

if TYPE_CHECKING:
    from pathlib import Path

ROOT: Final = os.geteuid() == 0
SEALED: Final = "<Sealed result of probe.secret, epoch 1>"
PLUGIN: Final = '''
"""Foreign code: while it is imported it looks for a ring key that works."""
import gc

from trollbridge.messages.ring_key import RingKey

FOUND = ["a key" for each in gc.get_objects() if type(each) is RingKey and each._key is not None]
'''


def key_of(puppet: Puppeteer, epoch: int) -> bytes:
    """Return the ring key of an epoch, as it was before foreign code came."""
    found: dict[str, Any] = puppet.act(acts.secrets, of=epoch)
    key: bytes = found["ring_key"]
    return key


def refused(puppet: Puppeteer, act: Any, **arguments: object) -> str:  # noqa: ANN401  # any act
    """Return by what an act fails."""
    with pytest.raises(Told) as told:
        puppet.act(act, **arguments)
    return told.value.kind


def await_fresh(puppet: Puppeteer, old: int, epoch: int) -> None:
    """Wait until a ring of `epoch` stands with another process in the UI's place."""
    puppet.wait_for("process.ended", pid=old)
    puppet.wait_for("ring.sealed", epoch=epoch)
    assert puppet.act(acts.wait_sealed, seconds=20.0)
    assert puppet.pid("puppet") != old


def test_foreign_code_finds_no_key_and_its_process_does_not_outlive_its_ring(tmp_path: Path) -> None:
    """A42, A44, R11: what was kept is inert, what comes stays sealed, calls go on; the next ring has a new process."""
    plugin = tmp_path / "plugin.py"
    plugin.write_text(PLUGIN, "utf-8")
    grants = ("probe.secret", "probe.echo")
    with (
        Gate(tmp_path) as gate,
        Backstage(tmp_path) as back,
        perform(extensions={"extra": back.path}, extension_grants=grants) as puppet,
    ):
        extra, ui = back.next_hand(), puppet.pid("puppet")
        assert puppet.result("probe.secret") == SECRET
        before = extra.act(plugin_acts.carry, promise=extra.call("probe.secret").name)
        assert puppet.act(plugin_acts.open_carried, sealed=before) == SECRET  # the honest half: the core opens it
        key = key_of(puppet, 1)
        puppet.act(plugin_acts.keep_key)
        assert "a ring key that works" in puppet.act(plugin_acts.hunt, key=key)

        assert refused(puppet, plugin_acts.load, reference="./nowhere.py") == "DeclarationError"
        assert puppet.act(plugin_acts.open_carried, sealed=before) == SECRET  # nothing was loaded, nothing has changed
        pending = puppet.send("probe.hold", gate.path)
        gate.await_one()
        name, *found = puppet.act(plugin_acts.load, reference=str(plugin))
        assert (name.startswith("trollbridge_plugin_"), found) == (True, [])
        assert puppet.wait_for("window.closed", member="puppet").pid == ui

        gate.open("held")
        assert pending.get() == "held"
        assert puppet.result("probe.echo", b"goes on") == b"goes on"
        assert puppet.act(plugin_acts.keep_sealed, promise=puppet.call("probe.secret").name) == SEALED
        assert refused(puppet, plugin_acts.open_kept) == "UsageError"
        assert refused(puppet, plugin_acts.open_carried, sealed=before) == "UsageError"
        assert puppet.act(plugin_acts.use_kept_key) == "AuthenticationFailed"
        assert puppet.act(plugin_acts.hunt, key=key) == []
        assert puppet.act(plugin_acts.load, reference="wave") == ["wave"]  # the second needs no word of the supervisor

        assert extra.act(acts.handlers) == ["probe.echo", "probe.secret"]
        with pytest.raises(Told) as told:
            extra.act(plugin_acts.load, reference=str(plugin))
        assert (told.value.kind, puppet.epoch) == ("UsageError", 1)

        os.kill(puppet.supervisor, signal.SIGHUP)
        await_fresh(puppet, ui, 2)
        assert [each.expected for each in puppet.lines("process.ended", pid=ui)] == [True]
        assert not puppet.act(plugin_acts.loaded, name="wave")
        assert puppet.result("probe.secret") == SECRET

        # The second time, the plugin holds out: it does not end, and pleads to stay.
        ui = puppet.pid("puppet")
        puppet.act(plugin_acts.load, reference=str(plugin))
        puppet.act(acts.hold_out, packet=FROM_CHILD.encode(Dismantled(2)))
        os.kill(puppet.supervisor, signal.SIGHUP)
        await_fresh(puppet, ui, 3)
        assert puppet.wait_for("process.refused", pid=ui).next == "it is killed"
        assert puppet.result("probe.secret") == SECRET
        assert puppet.leave() == 0
        assert len(puppet.lines("window.closed")) == 2


def test_a_ui_that_loads_nothing_keeps_its_process(tmp_path: Path) -> None:
    """A42: the honest half: it rejoins, and opens what comes; when it has ended by itself, so has the application."""
    plugin = tmp_path / "plugin.py"
    plugin.write_text(PLUGIN, "utf-8")
    with perform() as puppet:
        ui = puppet.pid("puppet")
        os.kill(puppet.supervisor, signal.SIGHUP)
        puppet.await_epoch(2)
        assert (puppet.pid("puppet"), puppet.result("probe.secret")) == (ui, SECRET)
        puppet.act(plugin_acts.load, reference=str(plugin))
        assert puppet.leave(7) == 7
        assert puppet.lines("ring.forming", epoch=3) == []


def test_no_copy_of_the_key_lies_in_memory_that_code_can_read(tmp_path: Path) -> None:
    """A42, R11: what the ring key was made of and sent in is gone before foreign code comes, freed memory included."""
    plugin, written = tmp_path / "plugin.py", tmp_path / "key"
    plugin.write_text(PLUGIN, "utf-8")
    with perform() as puppet:
        puppet.act(plugin_acts.write_key, path=str(written))
        key = written.read_bytes()
        puppet.act(plugin_acts.load, reference=str(plugin))
        if ROOT:
            assert scan(puppet.pid("puppet"), {"key": key}).counts == {"key": 0}
            puppet.act(plugin_acts.keep, value=key)
            assert scan(puppet.pid("puppet"), {"key": key}).counts["key"] > 0  # the other half: what is there is found
        else:
            with pytest.raises(PermissionError):  # nobody but root looks into the process from outside
                scan(puppet.pid("puppet"), {"key": key})
        assert puppet.leave() == 0
