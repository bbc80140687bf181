"""The linear peers, as scikit-learn pipelines. What a practitioner would use for short titles instead of a recurrence: TF-IDF with a linear classifier."""

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import SGDClassifier
from sklearn.naive_bayes import ComplementNB
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.svm import LinearSVC


def word_svm() -> Pipeline:
    """Word TF-IDF (1 and 2) with a linear SVM on raw text."""
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    return make_pipeline(vectorizer, LinearSVC(C=2, class_weight="balanced", random_state=0))


def char_svm() -> Pipeline:
    """Character TF-IDF (n-grams of 2 to 5 inside words, case kept) with a linear SVM on raw text."""
    vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, lowercase=False)
    return make_pipeline(vectorizer, LinearSVC(C=2, class_weight="balanced", random_state=0))


PEERS = {"word_svm": word_svm, "char_svm": char_svm}


JOBS = 2  # threads over the one-against-all problems; the numbers do not depend on it


def _words() -> TfidfVectorizer:
    return TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"\w+", min_df=2, sublinear_tf=True)  # noqa: S106


def _chars() -> TfidfVectorizer:
    return TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), min_df=2, sublinear_tf=True)


def _linear() -> SGDClassifier:
    return SGDClassifier(loss="modified_huber", alpha=1e-5, random_state=0, n_jobs=JOBS)


def word_nb() -> Pipeline:
    """Words and their pairs, complement naive Bayes (Rennie et al. 2003)."""
    return make_pipeline(_words(), ComplementNB())


def char_nb() -> Pipeline:
    """Character n-grams of 2 to 5 inside words, complement naive Bayes."""
    return make_pipeline(_chars(), ComplementNB())


def word_sgd() -> Pipeline:
    """Words and their pairs, linear classifier (modified Huber loss, stochastic gradient descent)."""
    return make_pipeline(_words(), _linear())


def char_sgd() -> Pipeline:
    """Character n-grams of 2 to 5 inside words, the same linear classifier."""
    return make_pipeline(_chars(), _linear())


TITLE_PEERS = {"word_nb": word_nb, "char_nb": char_nb, "word_sgd": word_sgd, "char_sgd": char_sgd}
