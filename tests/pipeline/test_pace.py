"""The rate of decisions: its limit, the temperature, and pictures that do not change."""

from pathlib import Path

import pytest

from edge_app.config import Config, DecisionConfig, IdleConfig, TemperatureConfig
from edge_app.devices.ports import NS_PER_S
from edge_app.pipeline.pace import ChangeDetector, Pace, read_temperature
from edge_app.simulation.devices import SimulatedClock
from support.configs import quiet_config
from support.pipeline_parts import Reports, colour


def frames_in(pace: Pace, clock: SimulatedClock, seconds: int, step_s: float = 0.01) -> int:
    """Return how many frames of a camera with 100 a second are taken."""
    count = 0
    for _ in range(round(seconds / step_s)):
        if pace.wait_s() <= 0:
            pace.took()
            count += 1
        clock.advance(step_s)
    return count


def test_without_a_cap_every_frame_is_due() -> None:
    clock = SimulatedClock()
    assert frames_in(Pace(quiet_config(), clock, Reports()), clock, 2) == 200


@pytest.mark.parametrize("fps", [1.0, 7.0, 30.0])
def test_the_cap_is_kept_on_average(fps: float) -> None:
    clock = SimulatedClock()
    assert frames_in(
        Pace(quiet_config(decision=DecisionConfig(max_fps=fps)), clock, Reports()), clock, 10
    ) == pytest.approx(10 * fps, abs=1)


def test_what_was_missed_is_not_caught_up() -> None:
    clock = SimulatedClock()
    pace = Pace(quiet_config(decision=DecisionConfig(max_fps=10)), clock, Reports())
    pace.took()
    clock.advance(5)
    assert frames_in(pace, clock, 1) <= 12


def test_too_warm_lowers_the_rate_until_it_is_cool_again(tmp_path: Path) -> None:
    sensor = tmp_path / "temp"
    config = Config(temperature=TemperatureConfig(str(sensor), slow_at_c=75, resume_at_c=70, slow_fps=2))
    clock, reports = SimulatedClock(), Reports()
    rates = []
    sensor.write_text("60000\n")
    pace = Pace(config, clock, reports)
    for degrees in (60, 74, 75, 72, 70, 69, 74):
        sensor.write_text(f"{degrees}000\n")
        frames_in(pace, clock, 6)
        rates.append(frames_in(pace, clock, 10))
        assert pace.temperature_c == degrees
    assert [rate < 30 for rate in rates] == [False, False, True, True, True, False, False]
    assert rates[2] == pytest.approx(20, abs=1)
    assert reports.events == ["rate_lowered", "rate_restored"]
    assert reports.told[0].fields == {"temperature_c": 75.0, "fps": 2}


def test_a_cap_below_the_slow_rate_stays(tmp_path: Path) -> None:
    sensor = tmp_path / "temp"
    sensor.write_text("90000")
    clock = SimulatedClock()
    pace = Pace(
        Config(decision=DecisionConfig(max_fps=1), temperature=TemperatureConfig(str(sensor), slow_fps=5)),
        clock,
        Reports(),
    )
    assert frames_in(pace, clock, 10) == pytest.approx(10, abs=1)


def test_a_sensor_that_cannot_be_read_is_told_once_and_lowers_nothing(tmp_path: Path) -> None:
    clock, reports = SimulatedClock(), Reports()
    pace = Pace(Config(temperature=TemperatureConfig(str(tmp_path / "none"))), clock, reports)
    assert frames_in(pace, clock, 30) == 3000
    assert reports.events == ["temperature_unknown"]
    assert pace.temperature_c is None


def test_other_settings_are_taken_over_while_it_runs() -> None:
    clock = SimulatedClock()
    pace = Pace(quiet_config(), clock, Reports())
    frames_in(pace, clock, 1)
    pace.config = quiet_config(decision=DecisionConfig(max_fps=5))
    assert frames_in(pace, clock, 10) == pytest.approx(50, abs=2)


def test_a_rate_of_its_own_counts_at_once() -> None:
    """Also where the next frame would have been due in minutes."""
    clock = SimulatedClock()
    pace = Pace(quiet_config(decision=DecisionConfig(max_fps=30)), clock, Reports(), max_fps=0.01)
    pace.took()
    assert pace.wait_s() == pytest.approx(100)
    pace.max_fps = 10
    assert pace.wait_s() <= 0
    pace.took()
    assert pace.wait_s() == pytest.approx(0.1)
    pace.max_fps = 0
    pace.took()
    assert pace.wait_s() == pytest.approx(1 / 30)


def test_temperature_is_read_in_degrees(tmp_path: Path) -> None:
    (tmp_path / "temp").write_text("48312\n")
    assert read_temperature(tmp_path / "temp") == 48.312
    (tmp_path / "temp").write_text("warm\n")
    assert read_temperature(tmp_path / "temp") is None
    assert read_temperature(tmp_path) is None


def test_noise_is_no_change_and_a_small_thing_is() -> None:
    detector = ChangeDetector()
    assert detector.changed(colour("red", 0, 224), 3)
    assert not any(detector.changed(colour("red", seed, 224), 3) for seed in range(1, 20))
    thing = colour("red", 30, 224)
    thing[32:48, 64:80] = 230
    assert detector.changed(thing, 3)
    assert not detector.changed(thing, 3)


def test_drift_adds_up_until_it_is_a_change() -> None:
    detector = ChangeDetector()
    picture = colour("blue", 0, 224)
    detector.changed(picture, 3)
    assert [detector.changed(picture + step, 3) for step in (1, 2, 3, 4)] == [False, False, False, True]


def test_a_picture_that_stands_still_is_looked_at_less_often() -> None:
    pace = Pace(quiet_config(idle=IdleConfig(3, 5)), SimulatedClock(), Reports())
    for tenth in range(20):
        pace.saw(tenth * NS_PER_S // 10, tenth == 0)
        assert pace.watch_period_ns == 0
    pace.saw(2 * NS_PER_S, False)
    assert pace.watch_period_ns == NS_PER_S // 5
    pace.config = quiet_config(idle=IdleConfig(3, 0))
    assert pace.watch_period_ns == 0
    pace.config = quiet_config(idle=IdleConfig(3, 10))
    assert pace.watch_period_ns == NS_PER_S // 10
    pace.saw(3 * NS_PER_S, True)
    assert pace.watch_period_ns == 0
    pace.config = quiet_config(idle=IdleConfig(0, 5))
    pace.saw(9 * NS_PER_S, False)
    assert pace.watch_period_ns == 0, "without idle mode every frame is looked at"
