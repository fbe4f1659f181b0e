"""The settings of a competition: what the YAML and the command line say, checked."""
