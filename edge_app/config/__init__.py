"""The configuration: sections, and the file that they are read from."""

from edge_app.config.acting import OutputsConfig, RuleConfig, WebhookConfig
from edge_app.config.loading import Config, load_config, portable
from edge_app.config.sections import (
    MOST_DREAMS,
    ButtonsConfig,
    CameraConfig,
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
    "Config",
    "ConsolidationConfig",
    "DecisionConfig",
    "EncoderConfig",
    "HistoryConfig",
    "IdleConfig",
    "LightsConfig",
    "LogConfig",
    "MqttConfig",
    "OutputsConfig",
    "RuleConfig",
    "StateConfig",
    "TemperatureConfig",
    "WebConfig",
    "WebhookConfig",
    "load_config",
    "portable",
]
