"""What goes in and out: tables, folds, the sample, the submission."""
