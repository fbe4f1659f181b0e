"""The demo competitions and their backbone."""
