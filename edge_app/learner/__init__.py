"""The learned state and its one owner: teach, correct, classify; memory and network kept in step."""

from edge_app.learner.learner import Learner, LearntExample

__all__ = ["Learner", "LearntExample"]
