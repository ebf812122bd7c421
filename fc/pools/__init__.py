"""Worker pools and builders as seen from outside."""
