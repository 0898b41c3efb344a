"""The live loop: capture | encode | decide as overlapping stages; presses in, decisions out."""
