"""The report on a competition's predictors and blends, as numbers and as a page."""
