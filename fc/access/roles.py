"""The roles an API key can have, and what each may do. Reading needs no role."""

from typing import Literal, get_args

Role = Literal[
    "admin",
    "create-projects",
    "restart-jobs",
    "cancel-build",
    "bump-to-front",
    "eval-jobset",
    "read-only",
]
"""As the CHECK of ``api_keys.role`` lists them."""

Right = Literal[
    "create-projects", "restart-jobs", "cancel-build", "bump-to-front", "eval-jobset", "configure"
]
"""What a writing route asks for; ``configure`` is for admins alone. Any other role grants the right of its own name; ``admin`` grants every right."""

ROLES: tuple[Role, ...] = get_args(Role)
RIGHTS: tuple[Right, ...] = get_args(Right)


def rights_of(role: Role) -> frozenset[Right]:
    """Everything ``role`` may do beyond reading."""
    if role == "admin":
        return frozenset(RIGHTS)
    return frozenset(right for right in RIGHTS if right == role)
