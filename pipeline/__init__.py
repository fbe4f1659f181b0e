"""Text-competition ensembles: the stages, and the code that they share."""
