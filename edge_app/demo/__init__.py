"""The main job on a laptop: simulated camera and thumb, real photographs, encoder, classifier and memory."""
