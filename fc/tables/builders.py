"""Table of the machines that build."""

from piccolo.columns import UUID, Array, Boolean, Integer, Text, Timestamptz, Varchar
from piccolo.table import Table


class RemoteBuilder(Table, tablename="remote_builders"):
    """A machine with sshd and Nix. Config writes what is declared; build writes its health.

    The columns of its health are ``consecutive_failures``, ``disabled_until``, ``last_failure``, ``last_error``
    and ``last_seen_at``.
    """

    id = UUID(primary_key=True)
    name = Varchar(length=255, default=None, unique=True)
    """Its key in configuration."""
    ssh_uri = Text(default=None)
    """``ssh://user@host:port``."""
    systems = Array(Text(), default=list)
    """Systems it builds for, such as ``x86_64-linux``."""
    max_jobs = Integer(default=1)
    """Builds at once; a hard limit."""
    speed_factor = Integer(default=1)
    """How fast it is, relative to the others; the faster of two idle builders is chosen."""
    supported_features = Array(Text(), default=list)
    """Features a derivation may require here, such as ``kvm``."""
    mandatory_features = Array(Text(), default=list)
    """Features a derivation must require to be built here."""
    enabled = Boolean(default=True)
    """False: gets no builds."""
    public_host_key = Text(default=None, null=True)
    """The host key it must show; none: refused, unless the settings allow trust on first use."""
    ssh_key_file = Text(default=None, null=True)
    """Private key file on the head; none: the settings' key."""
    consecutive_failures = Integer(default=0)
    """Failures of the builder, not of builds, in a row."""
    disabled_until = Timestamptz(default=None, null=True)
    """It is backing off until then."""
    last_failure = Timestamptz(default=None, null=True)
    """When it last failed."""
    last_error = Text(default=None, null=True)
    """How it last failed; none once it has worked again."""
    last_seen_at = Timestamptz(default=None, null=True)
    """When it last answered."""
    created_at = Timestamptz()
    """When configuration first named it."""
