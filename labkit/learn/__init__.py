"""Learning: predict before observing, claim what was shown, check exercises, look up terms, see where one is."""

from labkit.learn.claims import claim
from labkit.learn.exercise import check
from labkit.learn.glossary import glossary
from labkit.learn.prediction import predict
from labkit.learn.tree import tree

__all__ = ["check", "claim", "glossary", "predict", "tree"]
