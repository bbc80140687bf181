"""From a name in the catalogue to batches of tensors. A name is imported when it is first asked for, not before."""

from importlib import import_module

_HOME = {
    "batching": ("Batch", "EncodedTexts", "LengthBatches", "PadSequences", "Ragged", "make_loader"),
    "corpora": ("SchemaError", "load_meli", "load_sick", "load_sick_release", "load_sms", "load_sts"),
    "sources": ("SourceError", "obtain", "obtain_first", "obtain_or_sample"),
    "splits": ("Split", "deduplicate", "fold_text", "grouped_split", "stratified_split"),
    "text": ("FeatureVocabulary", "Vocabulary", "normal_form", "tokenize"),
    "vectors": ("embedding_matrix", "read_vectors"),
}
__all__ = sorted(name for names in _HOME.values() for name in names)


def __getattr__(name: str):
    for module, names in _HOME.items():
        if name in names:
            return getattr(import_module(f"helpers.data.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
