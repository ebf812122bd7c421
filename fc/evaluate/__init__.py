"""Evaluation: webhook, git, Nix, record."""
