"""Which configuration source a command is about."""

from fc.base.database import Database
from fc.base.errors import ConflictError, NotFoundError
from fc.config.wording import did_you_mean
from fc.tables.configuration_queries import config_sources

DEFAULT = "default"


async def chosen_source(database: Database, named: str | None) -> str:
    """The source that is meant; without a name the only one that is followed.

    What no repository was ever followed for is the default, as directories applied by hand are.

    Raises:
        NotFoundError: there is none of that name.
        ConflictError: several are followed, and none is named.
    """
    sources = await config_sources(database)
    names = [one.name for one in sources]
    if named is not None:
        if named in names or named == DEFAULT:
            return named
        what = "configuration source"
        raise NotFoundError(what, f"{named}{did_you_mean(named, names)}")
    followed = [one.name for one in sources if one.active and one.project is None]
    if len(followed) > 1:
        message = f"several configuration repositories are followed; name one of them: {', '.join(followed)}"
        raise ConflictError(message)
    return followed[0] if followed else DEFAULT
