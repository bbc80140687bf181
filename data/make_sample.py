"""Make the synthetic corpora of data/sample, byte for byte the same every time: python data/make_sample.py

They stand in for the real corpora in PROFILE=quick where those cannot be had. Nothing in them is copied from real data:
sentences are filled from the templates and word lists in data/sampling, with seeded generators.
"""

import argparse
from pathlib import Path

import numpy as np
from sampling import pairs, scene_words, sms, title_words, titles, vectors, wordlists
from sampling.files import compress, write_bytes, write_lines, write_zip

SEED = 20190901
NEVER_MISSING = 100  # most frequent words
MISSING_SHARE = 0.1  # words left without a vector, as in any real set of vectors
MISSING_IN_WORD2VEC = ("a", "an", "and", "of", "to")  # the stop words that word2vec's own training text lacks


def generator(purpose: int) -> np.random.Generator:
    """A generator for one file, so that a change in one file leaves the others as they are."""
    return np.random.default_rng([SEED, purpose])


def some_missing(topics: dict[str, list[str]], rng: np.random.Generator) -> dict[str, list[str]]:
    """Leave out a few of the less frequent words, above all those of no topic."""
    chances = {word: MISSING_SHARE * (1 if known else 4) for word, known in topics.items()}
    return {
        word: known
        for rank, (word, known) in enumerate(topics.items())
        if rng.random() >= chances[word] or rank < NEVER_MISSING
    }


def make_sms(folder: Path) -> None:
    """Messages, and 25-d vectors of their tokens."""
    rows = sms.make_messages(generator(1))
    write_lines(folder / "sms" / "SMSSpamCollection", [f"{label}\t{text}" for label, text in rows])
    topics = some_missing(sms.topics_of_words(rows), generator(2))
    table = vectors.embed(topics, {short: word for word, short in sms.SHORT_FORMS.items()}, 25, generator(3))
    write_lines(folder / "vectors" / "glove.twitter.27B.25d.12k.txt.gz", vectors.text_lines(table, header=False))


def make_titles(folder: Path) -> None:
    """Titles, and 50-d vectors of their words under a header that counts them."""
    rows = titles.make_rows(generator(4))
    write_lines(folder / "meli" / "spanish.test.jsonl.gz", titles.json_lines(rows))
    topics = {word: ["function"] for word in title_words.STOP_WORDS[:20]} | titles.topics_of_words(rows)
    topics = some_missing(topics, generator(5))
    table = vectors.embed(topics, {word: titles.without_accents(word) for word in topics}, 50, generator(6))
    write_lines(folder / "vectors" / "SBW-vectors-300-min5.head.txt", vectors.text_lines(table, header=True))


def make_pairs(folder: Path) -> None:
    """SICK in both layouts, the STS Benchmark and the SemEval sets."""
    taken: set[frozenset[str]] = set()
    parts = pairs.make_sick(generator(7), taken)
    for name, part in (("SICK_train", "TRAIN"), ("SICK_trial", "TRIAL"), ("SICK_test_annotated", "TEST")):
        write_lines(folder / "sick" / f"{name}.txt", pairs.sick_lines(parts[part]))
    write_lines(folder / "sick" / "SICK.txt", pairs.release_lines(parts), end="\r\n")
    rng = generator(8)
    sets = {name: pairs.make_pairs(pairs.ROWS_PER_SET, rng, taken) for name in pairs.SEMEVAL_SETS}
    for name, rows in sets.items():
        write_lines(folder / "sts" / "semeval" / f"{name}.tsv", pairs.semeval_lines(name, rows))
    shared = [sets[name][1] for name in pairs.SEMEVAL_SETS[: pairs.SHARED_ROWS]]
    own = pairs.make_pairs(pairs.BENCHMARK_ROWS, rng, taken)
    lines = pairs.benchmark_lines(own, shared, [pair for _, pair in parts["TEST"]])
    write_lines(folder / "sts" / "sts-train.csv", lines)


def make_scene_vectors(folder: Path) -> None:
    """50-d vectors of the words of the sentences: as GloVe, and as word2vec, with capitals and fewer stop words."""
    topics, concepts = vectors.scene_words()
    glove = vectors.embed(topics, concepts, 50, generator(9))
    write_lines(folder / "vectors" / "glove.840B.300d.sick.txt.gz", vectors.text_lines(glove, header=False))
    cased = {word.capitalize(): topics[word] for index, word in enumerate(topics) if index % 8 == 0}
    wanted = {word: known for word, known in (topics | cased).items() if word not in MISSING_IN_WORD2VEC}
    concepts = concepts | {word: concepts[word.lower()] for word in cased}
    word2vec = vectors.embed(wanted, concepts, 50, generator(10))
    write_bytes(
        folder / "vectors" / "GoogleNews-vectors-negative300.8k.bin.gz", compress(vectors.binary_bytes(word2vec))
    )


def make_wordlists(folder: Path) -> None:
    """Stop words as NLTK packs them, and synonyms."""
    lists = {"english": scene_words.STOP_WORDS, "spanish": title_words.STOP_WORDS}
    members = {f"stopwords/{name}": "".join(f"{word}\n" for word in words) for name, words in lists.items()}
    write_zip(folder / "nltk_data" / "corpora" / "stopwords.zip", {"stopwords/": None} | members)
    write_lines(folder / "nltk_data" / "synonyms.en.tsv", wordlists.synonym_lines())


def main() -> None:
    """Write every file of the sample."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).resolve().parent / "sample", help="folder to write into"
    )
    folder = parser.parse_args().out
    for make in (make_sms, make_titles, make_pairs, make_scene_vectors, make_wordlists):
        make(folder)
    print(f"{sum(path.is_file() for path in folder.rglob('*'))} files in {folder}")


if __name__ == "__main__":
    main()
