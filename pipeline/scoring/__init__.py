"""Tasks, metrics, and how sure a score is."""
