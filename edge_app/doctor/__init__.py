"""Checks of a device, each a function of the paths that it reads, with advice for each problem."""
