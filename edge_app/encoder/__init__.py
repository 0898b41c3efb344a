"""From a frame to an embedding, and from an embedding to spike counts."""
