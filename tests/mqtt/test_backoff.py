"""How long to wait for the broker."""

import random

from edge_app.mqtt.backoff import BackOff


def test_it_doubles_up_to_a_minute_and_is_short_again_after_a_good_connection() -> None:
    backoff = BackOff(random.Random(1))
    waits = [backoff.wait_s(0.0) for _ in range(9)]
    for wait, full in zip(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60], strict=True):
        assert full / 2 <= wait <= full
    assert 30 <= backoff.wait_s(9.9) <= 60, "it did not hold"
    assert backoff.wait_s(10.0) <= 1


def test_devices_do_not_come_back_together() -> None:
    assert len({BackOff(random.Random(seed)).wait_s(0.0) for seed in range(20)}) == 20
