"""Pull requests on configuration repositories as people see them."""

from fc.web.statuses import Look

_LOOKS = {
    "pending": Look("being planned", "wait", "wait"),
    "planned": Look("can be merged", "good", "good"),
    "held": Look("would be held", "warn", "clock"),
    "failed": Look("cannot be applied", "bad", "bad"),
    "closed": Look("closed", "off", "off"),
}


def preview_look(status: str) -> Look:
    """How a pull request stands."""
    return _LOOKS[status]
