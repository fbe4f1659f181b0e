"""What this project measures about itself; each script says how it is run and what it writes."""
