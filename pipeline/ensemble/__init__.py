"""Blenders, post-processing, cross-fitting, the leaderboard and the choice."""
