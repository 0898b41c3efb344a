"""The configuration: sections, and the file that they are read from."""

from edge_app.config.loading import Config, load_config, portable
from edge_app.config.sections import (
    MOST_DREAMS,
    ButtonsConfig,
    CameraConfig,
    ConsolidationConfig,
    DecisionConfig,
    EncoderConfig,
    IdleConfig,
    LightsConfig,
    LogConfig,
    MqttConfig,
    StateConfig,
    TemperatureConfig,
    WebConfig,
)

__all__ = [
    "MOST_DREAMS",
    "ButtonsConfig",
    "CameraConfig",
    "Config",
    "ConsolidationConfig",
    "DecisionConfig",
    "EncoderConfig",
    "IdleConfig",
    "LightsConfig",
    "LogConfig",
    "MqttConfig",
    "StateConfig",
    "TemperatureConfig",
    "WebConfig",
    "load_config",
    "portable",
]
