"""Measures the time of each step on this machine."""
