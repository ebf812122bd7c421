"""Nix protocols and formats, without I/O."""
