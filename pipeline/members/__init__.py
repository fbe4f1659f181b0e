"""What is trained: kinds of members, their units, the jobs that train them."""
