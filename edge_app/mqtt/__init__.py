"""The house's message bus: decisions, events and health to a broker, commands and offered classes from it (MQTT 5)."""
