"""The MeLi titles that the comparisons share: split 0, its dictionary, and the course's networks on it."""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pandas as pd

from benchmarks import references
from helpers import settings
from helpers.data.batching import WordTitles
from helpers.data.splits import Split
from helpers.data.text import Vocabulary, clean_tokens, stopwords_es
from helpers.report.results import describe_data
from helpers.tasks import meli
from helpers.tasks.meli import BASELINE, MeliConfig, MeliModel


@dataclass(frozen=True)
class Titles:
    """The titles, their sides, and the reader of the training side's dictionary."""

    frame: pd.DataFrame
    parts: Split
    reader: WordTitles
    categories: list[str]

    @property
    def data(self) -> dict:
        """Of describe_data()."""
        return describe_data(meli=self.frame)

    def valid_titles(self, count: int) -> pd.Series:
        """So many titles of the validation side, in random order."""
        rows = np.random.default_rng(settings.SEED).permutation(self.parts.valid)[:count]
        return self.frame["title"].iloc[rows]

    def model(self, config: MeliConfig) -> MeliModel:
        """A model of ours that reads words, fresh."""
        settings.seed_everything(settings.SEED)
        return MeliModel(config, self.reader, self.categories)

    def course_model(self, *, freeze: bool) -> references.CourseClassifier:
        """The recipe's, fresh."""
        settings.seed_everything(settings.SEED)
        return references.CourseClassifier(len(self.reader.vocabulary), len(self.categories), freeze=freeze)


@cache
def titles(rows: int | None) -> Titles:
    """Split 0; None takes all titles."""
    frame, stop_words = meli.load(rows), stopwords_es()
    parts = meli.split(frame, settings.SEED)
    words = ([w for w in clean_tokens(title) if w not in stop_words] for title in frame["title"].iloc[parts.train])
    reader = WordTitles(Vocabulary.build(words), stop_words)
    return Titles(frame, parts, reader, meli.categories(frame))


def word_config(*, freeze: bool) -> MeliConfig:
    """BiLSTM 128 over 300-d word vectors, batches of 128. The vectors are random: which ones makes no odds in time."""
    return replace(BASELINE, freeze=freeze, vectors="random", batch_size=references.BATCH_SIZE)
