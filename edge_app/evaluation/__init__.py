"""Data sets, protocols, conventional baselines: how good the classifier is, and beside what."""
