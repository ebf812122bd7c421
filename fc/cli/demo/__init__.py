"""``fcctl demo``: the whole road on one machine, before one's eyes."""
