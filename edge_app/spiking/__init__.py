"""Spiking encoders, read from their TFLite files and simulated step by step, in integers."""
