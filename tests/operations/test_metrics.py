"""The figures: exact, in the form that Prometheus reads, and a file that is whole at every moment."""

from __future__ import annotations

import contextlib
import stat
import sys
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Final, cast

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from tests.harness.puppeteer import Puppeteer
from tests.harness.running import PATIENCE
from trollbridge.actors.operations.events import EVENTS
from trollbridge.actors.operations.measuring import Measuring
from trollbridge.actors.operations.metrics import BOUNDS, Distribution, Family, Kind, distribution
from trollbridge.messages import control
from trollbridge.messages.errors import Malformed
from trollbridge.messages.ids import BROKER, MemberId
from trollbridge.messages.measures import BUCKETS, MemberMeasure, bucket
from trollbridge.ui_adapter.metrics_file import metrics_to, render

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from trollbridge.actors.supervision.children import Children
    from trollbridge.actors.supervision.spawn import Process

SECRET: Final = "the canary of the figures"
SOME: Final = (
    Family("trollbridge_a", Kind.GAUGE, "A.", (), {(): 1.5}),
    Family("trollbridge_b_total", Kind.COUNTER, 'Of "B".', ("member", "role"), {("x", "ui"): 2.0, ('"\n\\', ""): 3.0}),
    Family(
        "trollbridge_c_seconds",
        Kind.HISTOGRAM,
        "C.",
        ("member",),
        {("x",): Distribution((*range(len(BOUNDS)), len(BOUNDS)), 2.5)},
    ),
)
Figures = dict[tuple[str, tuple[str, ...]], float]


def figures(text: str) -> Figures:
    """Return name and label values (by the labels' names) → value, as the library's own parser reads them."""
    return {
        (sample.name, tuple(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@given(st.lists(st.integers(0, 1 << 28), max_size=30))
def test_the_distribution_counts_each_time_at_its_bounds_exactly(times: list[int]) -> None:
    """From the broker's buckets to the few that are published, nothing is guessed but the sum, to an eighth."""
    histogram = [0] * BUCKETS
    for each in times:
        histogram[bucket(each)] += 1
    found = distribution(histogram)
    assert found.cumulative == (*(sum(each < bound for each in times) for bound in BOUNDS), len(times))
    short = [each for each in times if each < 1 << 27]
    if len(short) == len(times):
        assert found.total == pytest.approx(sum(times) / 1e6, rel=0.125, abs=len(times) * 1e-6)


def test_what_is_rendered_is_what_the_parser_reads() -> None:
    """Every kind of figure, and label values that would break a careless writer."""
    wanted: Figures = {("trollbridge_c_seconds_bucket", (str(bound / 1e6), "x")): at for at, bound in enumerate(BOUNDS)}
    wanted |= {
        ("trollbridge_a", ()): 1.5,
        ("trollbridge_b_total", ("x", "ui")): 2.0,
        ("trollbridge_b_total", ('"\n\\', "")): 3.0,
        ("trollbridge_c_seconds_bucket", ("+Inf", "x")): len(BOUNDS),
        ("trollbridge_c_seconds_count", ("x",)): len(BOUNDS),
        ("trollbridge_c_seconds_sum", ("x",)): 2.5,
    }
    assert figures(render(SOME).decode()) == wanted


def test_the_file_is_replaced_whole_or_left_as_it_was(tmp_path: Path) -> None:
    """A reader that has opened it reads on what it opened; where it cannot be written, nothing is left behind."""
    place = tmp_path / "figures.prom"
    publish = metrics_to(str(place))
    publish(SOME)
    assert stat.S_IMODE(place.stat().st_mode) & ~0o644 == 0
    with place.open(encoding="utf-8") as reader:
        publish(SOME[:1])
        assert figures(reader.read()) == figures(render(SOME).decode())
    assert figures(place.read_text("utf-8")) == {("trollbridge_a", ()): 1.5}
    place.unlink()
    place.mkdir()
    (place / "in the way").touch()
    with pytest.raises(OSError, match="directory"):
        publish(SOME)
    assert [each.name for each in tmp_path.iterdir()] == ["figures.prom"]


@pytest.mark.parametrize("name", ["figures", "figures.txt", "nowhere/figures.prom"])
def test_a_name_that_nobody_would_read_is_refused_at_once(name: str, tmp_path: Path) -> None:
    """The node exporter takes files that end with .prom, from one folder."""
    with pytest.raises(click.BadParameter, match=r"\.prom"):
        metrics_to(str(tmp_path / name))


def test_without_the_extra_a_person_reads_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of it is loaded unless figures are asked for; then its absence is one line."""
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(click.BadParameter, match=r"pip install 'trollbridge\[metrics\]'"):
        metrics_to(str(tmp_path / "figures.prom"))


def _seen(place: Path) -> Iterator[Figures]:
    """Yield the figures again and again, until the test's patience ends."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if place.exists():
            yield figures(place.read_text("utf-8"))
    pytest.fail("the figures never came")


def _put_a_folder_at(place: Path) -> None:
    """Have a folder where the file is, which the application makes anew all the time, in between too."""
    while not place.is_dir():
        place.unlink(missing_ok=True)
        with contextlib.suppress(FileExistsError):
            place.mkdir()


def test_a_running_application_publishes_what_it_does(tmp_path: Path) -> None:
    """A54, I6: calls, falls, processes; a file that cannot be written costs a line; no label has what was said."""
    place = tmp_path / "figures.prom"
    command = (sys.executable, "-m", "tests.operations.measured", str(place))
    with Puppeteer("", {}, command=command) as puppet:
        puppet.await_epoch(1)
        for _ in range(40):
            assert puppet.result("probe.echo", SECRET.encode()) == SECRET.encode()
        found = next(each for each in _seen(place) if each.get(("trollbridge_replies_total", ("puppet",)), 0) >= 40)
        assert found["trollbridge_served_total", ("probe",)] >= 40
        assert found["trollbridge_call_seconds_bucket", ("+Inf", "probe")] >= 2
        assert found["trollbridge_memory_bytes", ("broker", "broker")] > 1 << 20
        assert (found["trollbridge_up", ()], found["trollbridge_ring_sealed", ()]) == (1, 1)
        _put_a_folder_at(place)
        puppet.wait_for("metrics.failed")
        place.rmdir()
        puppet.kill("probe")
        puppet.await_epoch(2)
        stands = ("trollbridge_epoch", ()), ("trollbridge_ring_sealed", ())  # the last of its starts are counted then
        found = next(each for each in _seen(place) if [each[name] for name in stands] == [2, 1])
        assert found["trollbridge_process_failures_total", ("probe", "enclave")] == 1
        assert found["trollbridge_process_starts_total", ("probe", "enclave")] == 2
        assert len(puppet.lines("metrics.failed")) == 1
        puppet.stop()
    found = figures(place.read_text("utf-8"))
    assert (found["trollbridge_up", ()], found["trollbridge_events_total", ("application.stopped",)]) == (0, 1)
    assert {labels[0] for name, labels in found if name == "trollbridge_events_total"} <= set(EVENTS)
    assert SECRET not in place.read_text("utf-8")
    assert [each.name for each in tmp_path.iterdir()] == ["figures.prom"]


def test_no_word_of_the_brokers_becomes_a_name_in_a_figure() -> None:
    """A54, P3: an answer about somebody else than the members, or about one of them twice, is refused."""
    broker = SimpleNamespace(member=BROKER)
    told: list[control.Measures | None] = []

    def tell(*_: object) -> None:
        """Have the broker asked."""

    processes = SimpleNamespace(get={BROKER: broker}.get, tell=tell)
    measuring = Measuring(cast("Children", processes), [MemberId("vault"), MemberId("ui")])
    measuring.ask(told.append)
    for names in (("vault", SECRET), ("",), (BROKER,), ("vault", "vault")):
        with pytest.raises(Malformed):
            measuring.heard(cast("Process", broker), control.Measures(1, tuple(map(MemberMeasure, names))))
    assert told == []
    honest = control.Measures(1, (MemberMeasure("vault"),))
    measuring.heard(cast("Process", broker), honest)
    assert told == [honest]
