"""Tasks, metrics, bootstrap samples and confidence intervals."""
