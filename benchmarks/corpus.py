"""The MeLi titles that the comparisons share: split 0, its dictionary, and fresh networks on it."""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pandas as pd

from benchmarks import references
from helpers import settings
from helpers.data.batching import SubwordTitles, WordTitles
from helpers.data.splits import Split
from helpers.data.text import Vocabulary, clean_tokens, stopwords_es
from helpers.report.results import describe_data
from helpers.tasks import meli
from helpers.tasks.meli import BASELINE, CONFIGS, MeliConfig, MeliModel


@dataclass(frozen=True)
class Titles:
    """The titles, the rows of their sides, and the reader with the training side's dictionary."""

    frame: pd.DataFrame
    split: Split
    reader: WordTitles
    categories: list[str]

    @property
    def data(self) -> dict:
        """What describe_data() says of the titles."""
        return describe_data(meli=self.frame)

    def valid_titles(self, count: int) -> pd.Series:
        """`count` titles of the validation side, in random order."""
        rows = np.random.default_rng(settings.SEED).permutation(self.split.valid)[:count]
        return self.frame["title"].iloc[rows]

    def model(self, config: MeliConfig) -> MeliModel:
        """An untrained model of ours that reads words."""
        settings.seed_everything(settings.SEED)
        return MeliModel(config, self.reader, self.categories)

    def course_model(self, *, freeze: bool) -> references.CourseClassifier:
        """The course's untrained network."""
        settings.seed_everything(settings.SEED)
        return references.CourseClassifier(len(self.reader.vocabulary), len(self.categories), freeze=freeze)


@cache
def titles(rows: int | None) -> Titles:
    """The titles (None: all) and split 0 of them."""
    frame, stop_words = meli.load(rows), stopwords_es()
    split = meli.split(frame, settings.SEED)
    words = ([w for w in clean_tokens(title) if w not in stop_words] for title in frame["title"].iloc[split.train])
    reader = WordTitles(Vocabulary.build(words), stop_words)
    return Titles(frame, split, reader, meli.categories(frame))


def word_config(*, freeze: bool) -> MeliConfig:
    """BiLSTM 128 over 300-d word vectors, batches of 128. The vectors are random: values do not change the time."""
    return replace(BASELINE, freeze=freeze, vectors="random", batch_size=references.BATCH_SIZE)


def best_model(known: Titles) -> MeliModel:
    """Our best configuration with its whole dictionary of subwords, untrained: as fast as trained."""
    settings.seed_everything(settings.SEED)
    config, train = CONFIGS["best"], known.frame["title"].to_numpy()[known.split.train]
    reader = SubwordTitles.build(train, min_count=config.min_count, pairs=config.pairs)
    return MeliModel(config, reader, known.categories)
