"""Simulated devices and the scenes in front of them: they need no hardware, and tests, demo and laptop share them."""
