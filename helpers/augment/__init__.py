"""New SICK training pairs from old ones: a lexicon, sentence edits, pairs by transitivity, and the techniques."""
