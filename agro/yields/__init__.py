"""Yield outlook: features, model with fallback to the mean, intervals, card."""

from agro.yields.forecast import YieldModel, evaluate, predict, train

__all__ = ["YieldModel", "evaluate", "predict", "train"]
