"""The learner: teach, correct and classify; keeps stored examples and network in step."""

from edge_app.learner.learner import Learner
from edge_app.learner.samples import LearntExample

__all__ = ["Learner", "LearntExample"]
