"""The signal that tells a web worker that it is about to stop."""

import signal

STOP_SIGNAL = signal.SIGUSR2
"""Sent before the worker is told to stop: its streams end then, for the server waits until they have."""
