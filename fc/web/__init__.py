"""HTML pages and server-sent events. Read only."""
