"""MQTT 5: publishes decisions, events and health to a broker; receives commands and offered classes."""
