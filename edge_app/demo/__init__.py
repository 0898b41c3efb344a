"""The device on a laptop: simulated camera and buttons; real photographs, pipeline, encoder, classifier and storage."""
