"""Taskcluster's tables of worker pools. Surrogate keys, as Piccolo knows no composite primary key."""

from piccolo.columns import JSONB, UUID, Boolean, Integer, Text, Timestamptz
from piccolo.constraints import Unique
from piccolo.table import Table


class WorkerPool(Table, tablename="worker_pools"):
    """A set of like workers and who provides them. Written by config."""

    id = UUID(primary_key=True)
    worker_pool_id = Text(default=None, unique=True)
    """Its key, ``provisioner/worker-type``."""
    provider_id = Text(default=None)
    """Who makes its workers."""
    owner = Text(default=None)
    """Mail address of who answers for it."""
    description = Text(default=None)
    """For people."""
    email_on_error = Boolean(default=None)
    """Whether the owner gets mail about its errors."""
    created = Timestamptz(default=None)
    """When configuration first named it."""
    last_modified = Timestamptz(default=None)
    """When its declaration last changed."""
    config = JSONB(default=None)
    """What its provider needs."""
    provider_data = JSONB(default=None)
    """What its provider remembers."""
    previous_provider_ids = JSONB(default=None)
    """Providers that may still have workers of it."""
    etag = UUID()
    """Changes with every write: an update names the one it has seen."""


class Worker(Table, tablename="workers"):
    """A machine of a worker pool. Nothing writes it yet: it comes with the worker manager."""

    id = UUID(primary_key=True)
    worker_pool_id = Text(default=None)
    """Its pool. No reference: a worker outlives its pool until it has ended."""
    worker_group = Text(default=None)
    """Where it is, such as a region."""
    worker_id = Text(default=None)
    """Its name within the group."""
    provider_id = Text(default=None)
    """Who made it."""
    created = Timestamptz(default=None)
    """When it was made."""
    expires = Timestamptz(default=None)
    """When its row may go."""
    state = Text(default=None)
    """``requested``, ``running``, ``stopping`` or ``stopped``."""
    provider_data = JSONB(default=None)
    """What its provider remembers."""
    capacity = Integer(default=None)
    """Tasks at once."""
    last_modified = Timestamptz(default=None)
    """When the row last changed."""
    last_checked = Timestamptz(default=None)
    """When its provider last looked."""
    etag = UUID()
    """Changes with every write."""
    secret = JSONB(default=None, null=True, secret=True)
    """What it proves itself with, encrypted."""

    workers_worker_pool_id_worker_group_worker_id_key = Unique([worker_pool_id, worker_group, worker_id])


class WorkerPoolError(Table, tablename="worker_pool_errors"):
    """Something that went wrong with a worker pool. Nothing writes it yet: it comes with the worker manager."""

    id = UUID(primary_key=True)
    error_id = Text(default=None, unique=True)
    """Its key."""
    worker_pool_id = Text(default=None)
    """The pool. No reference: errors outlive it."""
    reported = Timestamptz(default=None)
    """When."""
    kind = Text(default=None)
    """What sort of error, for programs."""
    title = Text(default=None)
    """In a few words."""
    description = Text(default=None)
    """In full."""
    extra = JSONB(default=None, null=True)
    """What else is known."""
    etag = UUID()
    """Changes with every write."""
