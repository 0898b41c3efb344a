"""A camera that learns: a frozen int8 encoder before a fixed-point spiking classifier that is taught on the device.

Importing this package does no work: no driver, no model and no compiler is loaded before it is asked for.
"""

__version__ = "0.1.0"
