"""Which ready derivation is built next, and where: decisions only, on what the caller has read."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

import msgspec

ANY_SYSTEM = "builtin"
"""Derivations of this system are built by Nix itself, so every builder has it."""

NOMINAL_SECONDS = 60.0
"""What a build is taken to cost its jobset's share before it has run that long. Without it, every slot that is
free at one moment would go to the one jobset that is behind at that moment."""

_NAMED = 3


class Shape(msgspec.Struct, frozen=True):
    """What a derivation asks of a builder."""

    system: str
    features: frozenset[str] = frozenset()
    prefer_local: bool = False


class Slots(msgspec.Struct, frozen=True, kw_only=True):
    """A builder and its slots."""

    name: str
    id: uuid.UUID | None = None
    """None: the head's own store."""
    systems: frozenset[str]
    supported_features: frozenset[str] = frozenset()
    mandatory_features: frozenset[str] = frozenset()
    """It builds only what requires all of them."""
    max_jobs: int
    running: int = 0
    speed_factor: int = 1
    enabled: bool = True
    disabled_until: datetime | None = None
    """It is backing off until then."""
    failures: int = 0
    """Failures in a row. After one, a single build must go well before it gets all its slots back."""
    last_error: str | None = None

    @property
    def is_local(self) -> bool:
        """Whether it is the head's own store."""
        return self.id is None

    def backs_off(self, now: datetime) -> bool:
        """Whether it gets nothing for now."""
        return self.disabled_until is not None and self.disabled_until > now

    def free(self, now: datetime) -> int:
        """How many builds it can take."""
        if not self.enabled or self.backs_off(now):
            return 0
        return max(0, (min(1, self.max_jobs) if self.failures else self.max_jobs) - self.running)

    def fits(self, shape: Shape) -> bool:
        """Whether it could ever build what has this shape."""
        features = self.supported_features | self.mandatory_features
        return (
            self.max_jobs > 0
            and (shape.system == ANY_SYSTEM or shape.system in self.systems)
            and shape.features <= features
            and self.mandatory_features <= shape.features
        )


class Demand(msgspec.Struct, frozen=True, kw_only=True):
    """A jobset that needs a derivation."""

    jobset_id: uuid.UUID
    shares: int
    global_priority: int = 0
    local_priority: int = 0
    wanted_since: datetime


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A derivation that is ready and whose time has come."""

    derivation_id: uuid.UUID
    drv_path: str
    shape: Shape
    path_length: int
    """Estimated seconds of the longest chain that waits for it, itself included."""
    demands: tuple[Demand, ...]
    """At least one."""
    avoid: str | None = None
    """Builder that its last attempt was lost on: another one is preferred."""


class Assignment(msgspec.Struct, frozen=True):
    """Build this there."""

    candidate: Candidate
    builder: Slots
    jobset_id: uuid.UUID
    """The jobset whose share it takes."""


def open_to(shape: Shape, builders: Iterable[Slots]) -> list[Slots]:
    """The builders that may be given a derivation of this shape, now or later.

    One that is preferred locally goes to the head's own store wherever that can build it, and waits for it.
    """
    fitting = [builder for builder in builders if builder.fits(shape)]
    if shape.prefer_local:
        return [builder for builder in fitting if builder.is_local] or fitting
    return fitting


def startable(shapes: Iterable[Shape], builders: Sequence[Slots], now: datetime) -> list[Shape]:
    """Those of ``shapes`` that could begin now. Only they are worth reading: what is blocked fills no window."""
    return [shape for shape in shapes if any(builder.free(now) for builder in open_to(shape, builders))]


def plan(
    candidates: Iterable[Candidate],
    builders: Sequence[Slots],
    usage: Mapping[uuid.UUID, float],
    now: datetime,
) -> list[Assignment]:
    """Fill the free slots, the best candidate first.

    Order: global priority, the jobset with the smallest usage for its shares, the longest path, local priority,
    age. A candidate whose builders are all full or backing off is left out and holds up nobody.

    Args:
        candidates: at least as many of each kind as there are slots; more never hurts.
        builders: all of them.
        usage: build seconds of the last 24 hours by jobset; none: 0.
        now: the time.
    """
    used = dict(usage)
    taken: dict[str, int] = {}
    waiting: dict[tuple[Shape, str | None], list[Candidate]] = {}
    for one in candidates:
        waiting.setdefault((one.shape, one.avoid), []).append(one)
    assignments: list[Assignment] = []

    def rank(candidate: Candidate) -> tuple[int, float, int, int, datetime, uuid.UUID]:
        return (
            -max(demand.global_priority for demand in candidate.demands),
            min(_ratio(demand, used) for demand in candidate.demands),
            -candidate.path_length,
            -max(demand.local_priority for demand in candidate.demands),
            min(demand.wanted_since for demand in candidate.demands),
            candidate.derivation_id,
        )

    while True:
        choices = {kind: _choices(*kind, builders, taken, now) for kind in waiting}
        startable_now = [one for kind, members in waiting.items() if choices[kind] for one in members]
        if not startable_now:
            return assignments
        best = min(startable_now, key=rank)
        kind = (best.shape, best.avoid)
        builder = _choose(choices[kind], taken)
        payer = min(best.demands, key=lambda demand: _ratio(demand, used)).jobset_id
        assignments.append(Assignment(best, builder, payer))
        waiting[kind].remove(best)
        taken[builder.name] = taken.get(builder.name, 0) + 1
        used[payer] = used.get(payer, 0.0) + NOMINAL_SECONDS


def _ratio(demand: Demand, used: Mapping[uuid.UUID, float]) -> float:
    return used.get(demand.jobset_id, 0.0) / max(1, demand.shares)


def _choices(
    shape: Shape, avoid: str | None, builders: Sequence[Slots], taken: Mapping[str, int], now: datetime
) -> list[Slots]:
    """Builders that candidates of one kind can begin on now."""
    allowed = open_to(shape, builders)
    if avoid is not None:
        # One that cannot be had is no alternative: then the same builder is tried again.
        others = [
            one
            for one in allowed
            if one.name != avoid and one.enabled and not one.backs_off(now) and not one.failures
        ]
        allowed = others or allowed
    return [one for one in allowed if one.free(now) > taken.get(one.name, 0)]


def _choose(choices: Sequence[Slots], taken: Mapping[str, int]) -> Slots:
    """The fastest; of equally fast ones the emptiest."""

    def rank(one: Slots) -> tuple[int, float, str]:
        return -one.speed_factor, (one.running + taken.get(one.name, 0)) / one.max_jobs, one.name

    return min(choices, key=rank)


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """A derivation that is not being built, as far as its waiting is concerned."""

    shape: Shape
    queued: bool = True
    """Whether the build stage has taken it in."""
    inputs: Sequence[str] = ()
    """Names of some of the inputs it waits for."""
    missing_inputs: int = 0
    attempts: int = 0
    next_attempt_at: datetime | None = None
    last_error: str | None = None


def why_waiting(waiting: Waiting, builders: Sequence[Slots], now: datetime) -> str:
    """The reason, in one or two plain sentences."""
    if not waiting.queued:
        return "It was recorded just now and is about to be queued."
    if waiting.missing_inputs:
        return _waits_for_inputs(waiting)
    if waiting.next_attempt_at is not None and waiting.next_attempt_at > now:
        reason = f": {waiting.last_error}" if waiting.last_error else ""
        return f"Attempt {waiting.attempts} was lost{reason}. The next one is at {_clock(waiting.next_attempt_at)}."
    return _waits_for_builder(waiting.shape, builders, now)


def _waits_for_builder(shape: Shape, builders: Sequence[Slots], now: datetime) -> str:
    allowed = open_to(shape, builders)
    if not allowed:
        return _no_builder(shape, builders)
    ready = [one for one in allowed if one.enabled and not one.backs_off(now)]
    if not ready:
        return f"No builder that fits is to be had: {_listed([_absence(one) for one in allowed])}."
    if any(one.free(now) for one in ready):
        return "A slot is free for it; it begins when its turn comes."
    busy = _listed([_load(one) for one in ready])
    return f"Every builder that fits is busy: {busy}."


def _waits_for_inputs(waiting: Waiting) -> str:
    count = waiting.missing_inputs
    names = list(waiting.inputs[:_NAMED])
    if names and count > len(names):
        names.append(f"{count - len(names)} more")
    what = "one input" if count == 1 else f"{count} inputs"
    return f"It waits for {what}: {_listed(names)}." if names else f"It waits for {what}."


def _no_builder(shape: Shape, builders: Sequence[Slots]) -> str:
    usable = [one for one in builders if one.max_jobs > 0]
    having = [one for one in usable if shape.system == ANY_SYSTEM or shape.system in one.systems]
    if not having:
        return f"No builder has the system {shape.system}."
    able = [one for one in having if shape.features <= one.supported_features | one.mandatory_features]
    if not able:
        what = "feature" if len(shape.features) == 1 else "features"
        return f"No builder for {shape.system} has the {what} {_listed(sorted(shape.features))}."
    reserved = [f"{one.name} for {_listed(sorted(one.mandatory_features))}" for one in able]
    return f"Every builder for {shape.system} is reserved: {_listed(reserved)}."


def _absence(one: Slots) -> str:
    if not one.enabled or one.disabled_until is None:
        return f"{one.name} is disabled"
    reason = f" ({one.last_error})" if one.last_error else ""
    return f"{one.name} is backing off until {_clock(one.disabled_until)}{reason}"


def _load(one: Slots) -> str:
    if one.failures:
        return f"{one.name} is on trial after a failure"
    return f"{one.name} builds {one.running} of at most {one.max_jobs}"


def _listed(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def _clock(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%H:%M:%S} UTC"
