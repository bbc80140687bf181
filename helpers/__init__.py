"""Recurrent networks for text: the package behind the notebooks."""
