"""The models to train: kinds of members, their units, the jobs that train them."""
