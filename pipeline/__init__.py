"""Text-competition ensembles: the stages, and the code that they share."""

__version__ = "0.2.0"
