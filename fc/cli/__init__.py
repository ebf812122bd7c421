"""The command line, ``fcctl``."""
