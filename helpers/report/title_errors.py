"""Where a title classifier fails: by category, by confused pair, by length and unknown words, word by word."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pandas as pd


def by_category(frame: pd.DataFrame) -> pd.DataFrame:
    """recall, titles and the wrong category met most often, per category, worst first.

    Args:
        frame: category (true) and foretold (its name) per title.
    """
    wrong = frame[frame["category"] != frame["foretold"]]
    table = pd.DataFrame({"titles": frame.groupby("category").size()})
    table["recall"] = (frame["category"] == frame["foretold"]).groupby(frame["category"]).mean()
    table["mostly"] = wrong.groupby("category")["foretold"].agg(lambda names: names.value_counts().index[0])
    return table.sort_values(["recall", "titles"])


def confused_pairs(frame: pd.DataFrame, count: int = 15) -> pd.DataFrame:
    """The pairs of categories mistaken for each other most often, both directions together.

    Returns:
        first, second, first_as_second and second_as_first (titles), share (of the titles of both).
    """
    sizes = frame["category"].value_counts()
    wrong = frame[frame["category"] != frame["foretold"]]
    flows = wrong.groupby(["category", "foretold"]).size()
    rows = []
    for first, second in {tuple(sorted(pair)) for pair in flows.index}:
        there, back = int(flows.get((first, second), 0)), int(flows.get((second, first), 0))
        rows.append((first, second, there, back, (there + back) / (sizes.get(first, 0) + sizes.get(second, 0))))
    table = pd.DataFrame(rows, columns=["first", "second", "first_as_second", "second_as_first", "share"])
    table["errors"] = table["first_as_second"] + table["second_as_first"]
    return table.sort_values(["errors", "first"], ascending=[False, True]).head(count).reset_index(drop=True)


def accuracy_by(frame: pd.DataFrame, values: pd.Series, edges: Sequence[float]) -> pd.DataFrame:
    """titles and accuracy of the columns of `frame` that hold right/wrong, in bins of `values`.

    Args:
        frame: boolean columns, one per model.
        values: what is binned, one per title.
        edges: of the bins, [low, high); the last one holds all above.
    """
    inside = pd.cut(values, [*edges, np.inf], right=False)
    return frame.groupby(inside, observed=True).mean().assign(titles=inside.value_counts(sort=False))


def word_effects(predict_proba: Callable[[list[str]], np.ndarray], title: str, target: int) -> pd.Series:
    """What every word of a title adds to the log-odds of a class: with it minus without it (occlusion).

    Works for any classifier of raw titles.
    """
    words = title.split()
    without = [" ".join(words[:i] + words[i + 1 :]) for i in range(len(words))]
    p = predict_proba([title, *without])[:, target].astype(float).clip(1e-9, 1 - 1e-9)
    odds = np.log(p / (1 - p))
    return pd.Series(odds[0] - odds[1:], index=words)


def unknown_share(words: pd.Series, folds: Iterable[tuple[np.ndarray, np.ndarray]]) -> pd.Series:
    """Share of a title's words that stand in no title of its fold's training side.

    Args:
        words: a list of words per title.
        folds: (train rows, test rows), every row tested once.
    """
    shares = pd.Series(0.0, index=words.index)
    for train, test in folds:
        known = {word for row in words.iloc[train] for word in row}
        shares.iloc[test] = [sum(word not in known for word in row) / len(row) for row in words.iloc[test]]
    return shares
