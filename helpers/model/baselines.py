"""The linear peers, as scikit-learn pipelines."""

from sklearn.feature_extraction.text import TfidfVectorizer
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
