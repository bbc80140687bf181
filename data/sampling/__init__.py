"""Generators of the synthetic corpora in data/sample; `python data/make_sample.py` runs them all."""
