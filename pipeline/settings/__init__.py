"""The settings of a competition, from the YAML and the command line, checked."""
