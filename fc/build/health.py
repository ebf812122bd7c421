"""Health of remote builders: failures make them wait, ever longer; a build that went well makes them whole."""

from fc.base.database import Database
from fc.build.schedule import Slots

_LONGEST_ERROR = 1000


def pause(failures: int, first: float, longest: float) -> float:
    """Seconds to wait after so many failures in a row: doubling, capped."""
    return min(longest, first * 2.0 ** min(max(failures, 1) - 1, 30))


async def record_failure(
    database: Database, builder: Slots, error: str, first: float, longest: float
) -> None:
    """A builder could not be reached or was lost.

    Everything that was running there fails at the same time: only the first to say so is counted, since it was
    given its build with the number of failures that the row still has.
    """
    await database.execute(
        """UPDATE remote_builders SET consecutive_failures = consecutive_failures + 1, last_failure = now(),
        last_error = $3, disabled_until = now() + make_interval(secs => $4) WHERE id = $1 AND consecutive_failures = $2""",
        builder.id,
        builder.failures,
        error[:_LONGEST_ERROR],
        pause(builder.failures + 1, first, longest),
    )


async def record_seen(database: Database, builder: Slots) -> None:
    """A builder answered. Written at most twice a minute: each write wakes whoever watches builders."""
    await database.execute(
        """UPDATE remote_builders SET last_seen_at = now()
        WHERE id = $1 AND (last_seen_at IS NULL OR last_seen_at < now() - interval '30 seconds')""",
        builder.id,
    )


async def record_success(database: Database, builder: Slots) -> None:
    """An attempt on a builder came to its end, whatever end: the builder works."""
    await database.execute(
        """UPDATE remote_builders SET consecutive_failures = 0, disabled_until = NULL, last_error = NULL,
        last_seen_at = now() WHERE id = $1 AND consecutive_failures > 0""",
        builder.id,
    )
