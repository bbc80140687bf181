"""Baselines without a recurrence, as scikit-learn pipelines over raw texts: TF-IDF with a linear classifier."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

_WORDS = {"ngram_range": (1, 2), "token_pattern": r"\w+"}
_CHARS = {"analyzer": "char_wb", "ngram_range": (2, 5)}
JOBS = 2  # threads over the one-against-all problems; the numbers do not depend on it


def word_svm() -> "Pipeline":
    """Words and word pairs, linear SVM."""
    return _svm(ngram_range=(1, 2))


def char_svm() -> "Pipeline":
    """Character n-grams of 2 to 5 inside words, case kept; linear SVM."""
    return _svm(lowercase=False, **_CHARS)


def word_nb() -> "Pipeline":
    """Words and word pairs, complement naive Bayes (Rennie et al. 2003)."""
    from sklearn.naive_bayes import ComplementNB

    return _titles(ComplementNB(), **_WORDS)


def char_nb() -> "Pipeline":
    """Character n-grams of 2 to 5 inside words, complement naive Bayes."""
    from sklearn.naive_bayes import ComplementNB

    return _titles(ComplementNB(), **_CHARS)


def word_sgd() -> "Pipeline":
    """Words and word pairs, linear classifier (modified Huber loss, stochastic gradient descent)."""
    return _titles(_linear(), **_WORDS)


def char_sgd() -> "Pipeline":
    """Character n-grams of 2 to 5 inside words, the same linear classifier."""
    return _titles(_linear(), **_CHARS)


SMS_BASELINES = {"word_svm": word_svm, "char_svm": char_svm}
MELI_BASELINES = {"word_nb": word_nb, "char_nb": char_nb, "word_sgd": word_sgd, "char_sgd": char_sgd}


def _svm(**vectorizer) -> "Pipeline":
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline
    from sklearn.svm import LinearSVC

    classifier = LinearSVC(C=2, class_weight="balanced", random_state=0)
    return make_pipeline(TfidfVectorizer(sublinear_tf=True, **vectorizer), classifier)


def _titles(classifier, **vectorizer) -> "Pipeline":
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline

    return make_pipeline(TfidfVectorizer(min_df=2, sublinear_tf=True, **vectorizer), classifier)


def _linear():
    from sklearn.linear_model import SGDClassifier

    return SGDClassifier(loss="modified_huber", alpha=1e-5, random_state=0, n_jobs=JOBS)
