"""Moving channels to the newest good evaluations of their jobsets."""

import msgspec

from fc.base.database import Database

# Only forward: a build of the current evaluation that is tried again must not move the channel back. A channel that
# follows another jobset now starts anew. What the row was when it was looked at guards the update.
_MOVE = """
WITH candidates AS (
    SELECT c.id, c.jobset_id, c.current_evaluation_id, (
        SELECT e.id FROM evaluations e
        WHERE e.jobset_id = c.jobset_id AND e.status = 'completed' AND e.pr_number IS NULL
          AND (current.evaluation_time IS NULL OR e.evaluation_time > current.evaluation_time)
          AND EXISTS (SELECT FROM builds b WHERE b.evaluation_id = e.id)
          AND NOT EXISTS (SELECT FROM builds b WHERE b.evaluation_id = e.id AND b.status <> 'succeeded')
        ORDER BY e.evaluation_time DESC, e.id DESC LIMIT 1
    ) AS next_evaluation_id
    FROM channels c
    LEFT JOIN evaluations current ON current.id = c.current_evaluation_id AND current.jobset_id = c.jobset_id
)
UPDATE channels c SET current_evaluation_id = n.next_evaluation_id, updated_at = now()
FROM candidates n, projects p, evaluations e
WHERE c.id = n.id AND n.next_evaluation_id IS NOT NULL
  AND c.jobset_id = n.jobset_id AND c.current_evaluation_id IS NOT DISTINCT FROM n.current_evaluation_id
  AND p.id = c.project_id AND e.id = n.next_evaluation_id
RETURNING p.name AS project, c.name AS channel, e.commit_hash AS commit
"""


class Move(msgspec.Struct, frozen=True):
    """A channel that was moved."""

    project: str
    channel: str
    commit: str


async def move_channels(database: Database) -> list[Move]:
    """Move every channel to the newest completed evaluation of its jobset, of which there is at least one build and
    every build has succeeded; never to one of a pull request, never back.
    """  # noqa: D205 - the rule is one sentence
    return [Move(**row) for row in await database.fetch(_MOVE)]
