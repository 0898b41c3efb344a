"""Configurations for devices under test."""

from typing import Any

from edge_app.config import Config, ConsolidationConfig, TemperatureConfig


def quiet_config(**sections: Any) -> Config:
    """Return a configuration without replay, and without the temperature of the machine that runs the test."""
    quiet = {"temperature": TemperatureConfig(sensor=""), "consolidation": ConsolidationConfig(enabled=False)}
    return Config(**{**quiet, **sections})
