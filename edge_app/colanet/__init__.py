"""The spiking classifier: bits in, bits out. Knows no camera, clock, file or log."""
