"""Predictions on disk, ours and those of others."""
