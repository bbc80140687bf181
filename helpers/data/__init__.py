"""From a name in the catalogue to batches of tensors."""

from helpers.data.batching import Batch, EncodedTexts, LengthBatches, PadSequences, Ragged, make_loader
from helpers.data.corpora import SchemaError, load_meli, load_sick, load_sick_release, load_sms, load_sts
from helpers.data.sources import SourceError, obtain, obtain_first, obtain_or_sample
from helpers.data.splits import Split, deduplicate, fold_text, grouped_split, stratified_split
from helpers.data.text import FeatureVocabulary, Vocabulary, tokenize
from helpers.data.vectors import embedding_matrix, read_vectors

__all__ = [
    "Batch",
    "EncodedTexts",
    "FeatureVocabulary",
    "LengthBatches",
    "PadSequences",
    "Ragged",
    "SchemaError",
    "SourceError",
    "Split",
    "Vocabulary",
    "deduplicate",
    "embedding_matrix",
    "fold_text",
    "grouped_split",
    "load_meli",
    "load_sick",
    "load_sick_release",
    "load_sms",
    "load_sts",
    "make_loader",
    "obtain",
    "obtain_first",
    "obtain_or_sample",
    "read_vectors",
    "stratified_split",
    "tokenize",
]
