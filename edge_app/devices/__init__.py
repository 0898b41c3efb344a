"""Cameras, buttons, indicators and clocks, real and simulated."""
