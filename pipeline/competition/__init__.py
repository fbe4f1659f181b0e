"""Input and output of a competition: tables, folds, the sample, the submission."""
