"""The configuration: sections, and the file that they are read from."""

from edge_app.config.acting import OutputsConfig, RuleConfig, WebhookConfig
from edge_app.config.loading import Config, load_config, portable, read_places
from edge_app.config.places import NamedCameraConfig, PlaceConfig, PlaceInUse
from edge_app.config.sections import (
    MOST_DREAMS,
    ButtonsConfig,
    CameraConfig,
    CameraSettings,
    ConsolidationConfig,
    DecisionConfig,
    EncoderConfig,
    HistoryConfig,
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
    "CameraSettings",
    "Config",
    "ConsolidationConfig",
    "DecisionConfig",
    "EncoderConfig",
    "HistoryConfig",
    "IdleConfig",
    "LightsConfig",
    "LogConfig",
    "MqttConfig",
    "NamedCameraConfig",
    "OutputsConfig",
    "PlaceConfig",
    "PlaceInUse",
    "RuleConfig",
    "StateConfig",
    "TemperatureConfig",
    "WebConfig",
    "WebhookConfig",
    "load_config",
    "portable",
    "read_places",
]
