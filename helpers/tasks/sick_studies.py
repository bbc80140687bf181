"""The studies of notebooks 05 and 06: configurations by cross-validation, the chosen ones on test, augmentation."""

from collections.abc import Iterable
from dataclasses import asdict, replace

import numpy as np
import pandas as pd

from helpers import settings
from helpers.augment.new_pairs import candidate_pairs
from helpers.augment.techniques import TECHNIQUES, augment
from helpers.data.vectors import KINDS, UNKNOWN_WORDS, coverage, vector_table
from helpers.model.metrics import relatedness_metrics
from helpers.report.results import load_predictions, save_predictions
from helpers.report.tracking import Tracked
from helpers.tasks import sick
from helpers.tasks.base import config_hash
from helpers.tasks.sick import (
    ABLATIONS,
    ATTEMPTS,
    BOTH,
    CONFIGS,
    FINALISTS,
    LOSSES,
    TAUGHT,
    VARIANTS,
    SickConfig,
    sentences,
)
from helpers.tasks.studies import Spec, Study

SEEDS, FINAL_SEEDS = range(1, 4), range(1, 6)
FOLDS = range(2)  # of five: trainings are dear, and all rows share their folds
REFERENCES = {"mean_cosine_glove": "glove-840b", "mean_cosine_googlenews": "googlenews"}  # without training
RATED = "rated"  # the arm whose new pairs the network's own teachers rate
AUGMENTATIONS = (*TECHNIQUES, "all", RATED)
SCALE = 1000  # predictions are kept in thousandths of a point
IN_QUICK = {
    "sick-cv": ("pairwise", "triplet", "best"),
    "sick-models": ("mean_cosine_glove", "averaged", *FINALISTS),
}


def quick() -> dict[str, int]:
    """Options of sick.train in profile quick: few pairs, few epochs; none in full."""
    return settings.pick(quick={"rows": 120, "epochs": 1}, full={})


def run(spec: Spec, tracked: Tracked) -> dict[str, float]:
    """Train a configuration (or take a reference without training) and score it where the row says.

    Returns:
        The metrics of sick.train, and mean and deviation of the similarities before calibration: where a loss draws all
        sentences into one point they hardly differ.
    """
    model, where, options = str(spec["model"]), str(spec["evaluate_on"]), quick()
    if model in REFERENCES:
        metrics, test = sick.mean_cosine(REFERENCES[model], evaluate_on=where, rows=options.get("rows"))
    else:
        config, seed = configuration(spec), int(spec["model_seed"])
        new = {"augment": augment} if config.augment else {}
        result = sick.train(config, model_seed=seed, evaluate_on=where, on_epoch=tracked.epoch, **new, **options)
        metrics, test = result.metrics, result.test
        if model in FINALISTS and where == "test" and "technique" not in spec:
            _keep("sick-models", f"{model}-{seed}", test["pair_id"], test["prediction"])
        if result.rated is not None and where == "test" and seed == FINAL_SEEDS[0]:
            _keep("sick-augment", RATED, result.rated["pair_id"], result.rated["relatedness"])
    return metrics | {"similarity_mean": test["similarity"].mean(), "similarity_std": test["similarity"].std()}


def _keep(study: str, name: str, pairs: pd.Series, relatedness: pd.Series) -> None:
    save_predictions(study, name, pairs, (SCALE * relatedness).round())


def rated_pairs() -> pd.DataFrame:
    """The new pairs of the first seed's arm "rated", with what its teachers predicted, to a thousandth.

    Raises:
        FileNotFoundError: that row of sick-augment was never made; says how.
    """
    seed = FINAL_SEEDS[0]
    frame = sick.load()
    sides = sick.split(frame, "test", rows=quick().get("rows")).take(frame)
    table, hidden = sick.words_of(TAUGHT, sides, seed), sick.unseen(frame, sides)
    new = candidate_pairs(sides.train, table.mean_vectors, seed=seed, test=hidden).set_index("pair_id")
    pairs, rated = load_predictions("sick-augment", RATED)
    return new.loc[pairs].assign(relatedness=rated / SCALE).reset_index()


def predictions(model: str) -> pd.DataFrame:
    """What the trainings of a finalist predicted for the test pairs, 1 to 5, to a thousandth.

    Returns:
        Indexed by pair_id, a column per model seed.

    Raises:
        FileNotFoundError: a row of sick-models was never made; says how.
    """
    columns = {}
    for seed in _few(FINAL_SEEDS):
        pairs, predicted = load_predictions("sick-models", f"{model}-{seed}")
        columns[seed] = pd.Series(predicted / SCALE, index=pairs)
    return pd.DataFrame(columns)


def configuration(spec: Spec) -> SickConfig:
    """The configuration that a row trains, with the technique of augmentation that it names."""
    config = CONFIGS[str(spec["model"])]
    if "technique" not in spec:
        return config
    return TAUGHT if spec["technique"] == RATED else replace(config, augment=str(spec["technique"]))


def _row(model: str, where: str, seed: int, **rest) -> Spec:
    """`config` changes when the configuration behind a row does; a reference has none beyond its code."""
    spec = {"model": model, "evaluate_on": where, "model_seed": seed, **rest}
    known = "reference" if model in REFERENCES else config_hash(configuration(spec))
    return {"model": model, "config": known} | spec


def _few(values: Iterable) -> list:
    """The first one alone in profile quick."""
    return settings.pick(full=list(values), quick=list(values)[:1])


def _shown(study: str, models: Iterable[str]) -> list[str]:
    return settings.pick(full=list(models), quick=[model for model in models if model in IN_QUICK[study]])


def cross_validated() -> list[Spec]:
    """Development, on folds of train and trial: losses and their ablations; the best one and one step away from it."""
    models = _shown("sick-cv", [*LOSSES, *ABLATIONS, "best", "best_alone", *ATTEMPTS])
    return [_row(model, f"cv{fold}", 1) for model in models for fold in _few(FOLDS)]


def chosen() -> list[Spec]:
    """On test: three model seeds for every row, five for the finalists; references need none."""
    others = [name for name in (*LOSSES, *VARIANTS) if name not in FINALISTS]
    groups = ((REFERENCES, (0,)), (others, SEEDS), (FINALISTS, FINAL_SEEDS))
    return [
        _row(model, "test", seed)
        for models, seeds in groups
        for model in _shown("sick-models", models)
        for seed in _few(seeds)
    ]


def augmented() -> list[Spec]:
    """On test: every technique and all of them, with the seeds of the finalists; the arm without is in sick-models.

    All arms of a seed follow each other: they share its pre-training, which a process remembers.
    """
    names = settings.pick(full=AUGMENTATIONS, quick=(AUGMENTATIONS[0], RATED))
    return [_row("best", "test", seed, technique=name) for seed in _few(FINAL_SEEDS) for name in names]


def lookups(frame: pd.DataFrame, kinds: Iterable[str] = (*KINDS, BOTH)) -> pd.DataFrame:
    """What the choice of vectors, of spelling and of what a word without a vector gets is worth without training.

    Args:
        frame: SICK pairs, any but those of the test.
        kinds: of vectors, as in SickConfig.

    Returns:
        One row per vectors, case and unknown: types_known and tokens_known (shares), and pearson of the cosine of the
        two mean vectors with the relatedness.
    """
    both = sentences(frame)
    texts = [*both[0], *both[1]]
    rows = []
    for vectors in kinds:
        for case, unknown in [("exact", "zero"), ("lower", "zero"), *(("fallback", kind) for kind in UNKNOWN_WORDS)]:
            table = vector_table(vectors, texts, case=case, unknown=unknown, seed=settings.SEED)
            known = {name: share for name, share in coverage(table, texts).items() if name.endswith("_known")}
            first, second = (table.mean_vectors(side) for side in both)
            sizes = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
            cosine = (first * second).sum(1) / np.maximum(sizes, 1e-12)
            pearson = relatedness_metrics(frame["relatedness"], cosine)["pearson"]
            rows.append({"vectors": vectors, "case": case, "unknown": unknown} | known | {"pearson": pearson})
    return pd.DataFrame(rows)


def data_hash() -> str:
    """First digits of the SHA-256 over the SICK files."""
    return sick.load().attrs["sha256"][:12]


def _describe(spec: Spec) -> dict:
    return {} if spec["model"] in REFERENCES else asdict(configuration(spec))


STUDIES = {
    name: Study(name, specs, run, data_hash, sick.REVISION, _describe)
    for name, specs in (("sick-cv", cross_validated), ("sick-models", chosen), ("sick-augment", augmented))
}
