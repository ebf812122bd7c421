"""The configuration repositories of this installation and how they are known in the tables."""

SOURCE = "default"
"""Name of the source that the settings describe; directories applied by hand belong to it too."""
