"""Checks of a device: each is a function of the paths that it reads, and says what to do about what it finds."""
