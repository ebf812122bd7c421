"""Notifications: plan, deliver, retry."""
