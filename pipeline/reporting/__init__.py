"""The report: what was found out about a competition's predictors, as numbers and as a page."""
