"""FC: a declarative GitOps configuration server and CI for Nix."""

__version__ = "0.1.0"
