"""Which words of a sentence a similarity model cannot read: an answer about them is told, not given silently."""

from helpers.data.pairs import tokenize_sentence
from helpers.data.sentence_batches import UNKNOWN, SentenceReader


def unknown_words(reader: SentenceReader, *sentences: str) -> list[str]:
    """Words without a vector in any spelling, each once, as first met; to the model they are all the same word."""
    words = dict.fromkeys(word for sentence in sentences for word in tokenize_sentence(sentence))
    return [word for word in words if UNKNOWN in reader.word_ids(word)]
