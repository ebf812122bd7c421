"""Configuration from git: load, compile, diff, apply."""
