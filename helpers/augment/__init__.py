"""New sentence pairs from old ones."""
