"""Titles cleaned and tokenised per second: ours against the course's recipe."""

from benchmarks import references
from benchmarks.corpus import titles
from benchmarks.harness import Outcome, Row, Sizes, alternate, details
from helpers.data.text import clean_tokens


def run(sizes: Sizes) -> Outcome:
    """Compare, after checking that both give the same tokens.

    Raises:
        RuntimeError: our tokens are not those of gensim's filters.
    """
    known = titles(sizes.titles)
    raw = known.frame["title"].sample(min(sizes.cleaned, len(known.frame)), random_state=0)
    texts, ours = raw.tolist(), [clean_tokens(title) for title in raw]
    if ours != [references.filtered(title).split() for title in texts]:
        raise RuntimeError("our tokens are not those of gensim's filters: tests/test_cleaning.py should have said so")
    cut = sum(mine != theirs for mine, theirs in zip(ours, references.clean(raw), strict=True))

    def clean_all() -> int:
        return len([clean_tokens(title) for title in texts])

    rounds = alternate({"ours": clean_all, "reference": lambda: len(references.clean(raw))}, sizes)
    row = Row(
        "meli.cleaning", "cleaning and tokenising, against the course's recipe", "titles/s", rounds["ours"].rate,
        rounds["reference"].rate, goal=10,
    )  # fmt: skip
    note = f"cleaning: tokens equal gensim's in all {len(texts):,} titles; nltk cuts an English contraction in {cut}"
    return Outcome([row], details(rounds) | {"titles": len(texts), "cut_by_nltk": cut}, known.data, [note])
