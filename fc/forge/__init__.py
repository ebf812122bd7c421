"""Webhook and status messages of each forge, without I/O."""
