"""Configurations for devices under test."""

from typing import Any

from edge_app.config import Config, TemperatureConfig


def quiet_config(**sections: Any) -> Config:
    """Return the defaults but for some sections, and without the temperature of the machine that runs the test."""
    return Config(**{"temperature": TemperatureConfig(sensor=""), **sections})
