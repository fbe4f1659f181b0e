"""Predictors on disk: our own and external ones."""
