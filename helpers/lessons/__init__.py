"""What one notebook alone uses, a file a notebook."""
