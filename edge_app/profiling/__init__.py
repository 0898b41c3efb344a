"""How long each step takes on this machine."""
