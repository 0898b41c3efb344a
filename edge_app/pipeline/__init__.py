"""The live loop: capture | prepare | encode | decide as overlapping stages; presses in, decisions out."""
