"""Predictors in, one prediction out: weights, stackers, honest scores."""
