"""Technical ground: settings, errors, database, processes, git. Names no table."""
