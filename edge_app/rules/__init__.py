"""Rules: conditions on decisions, and the outputs, webhooks, files and messages that they act on."""
