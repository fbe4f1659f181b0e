"""Predictors in, one prediction out: blenders, post-processing, cross-fitted scores, the choice."""
