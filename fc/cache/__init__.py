"""The Nix binary cache and the channels."""
