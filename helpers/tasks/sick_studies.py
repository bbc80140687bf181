"""The studies of notebooks 05 and 06: configurations by cross-validation, the chosen ones on test, augmentation."""

from dataclasses import asdict, replace

from helpers import settings
from helpers.data.augmentation import TECHNIQUES, augment
from helpers.data.corpora import load_sick
from helpers.report.tracking import Tracked
from helpers.tasks import sick
from helpers.tasks.sick_config import ATTEMPTS, CONFIGS, FINALISTS, LOSSES, VARIANTS
from helpers.tasks.sick_data import FOLDS
from helpers.tasks.studies import Spec, Study, hash_of

SEEDS, FINAL_SEEDS = range(1, 4), range(1, 6)
REFERENCES = {"mean_cosine_glove": "glove-840b", "mean_cosine_googlenews": "googlenews"}
AUGMENTATIONS = (*TECHNIQUES, "+".join(TECHNIQUES))
CODE = tuple(
    settings.ROOT / "helpers" / f"{name}.py"
    for name in (
        *("data/text", "data/batching", "data/splits", "data/vectors", "data/corpora", "data/pairs"),
        *("data/sentence_batches", "data/sick_vectors", "data/triplets", "model/networks", "model/training"),
        *("model/siamese", "model/losses", "model/relatedness", "tasks/sick", "tasks/sick_model", "tasks/sick_data"),
    )
)
AUGMENTATION_CODE = tuple(
    settings.ROOT / "helpers" / "data" / f"{name}.py"
    for name in ("augmentation", "wordnet", "sentence_edits", "transitivity", "new_pairs", "word_resources")
)


def quick() -> dict[str, int]:
    """Options of sick.train in profile quick: few pairs, few epochs; none in full."""
    return settings.pick(quick={"rows": 150, "epochs": 1}, full={})


def run(spec: Spec, tracked: Tracked) -> dict[str, float]:
    """Train a configuration (or take a reference without training) and score it where the row says."""
    where, options = str(spec["evaluate_on"]), quick()
    if spec["model"] in REFERENCES:
        return sick.mean_cosine(REFERENCES[spec["model"]], evaluate_on=where, rows=options.get("rows"))[0]
    seed = int(spec["model_seed"])
    return sick.train(spec["model"], model_seed=seed, evaluate_on=where, on_epoch=tracked.epoch, **options).metrics


def run_augmented(spec: Spec, tracked: Tracked) -> dict[str, float]:
    """The best configuration with new training pairs."""
    config = replace(CONFIGS[str(spec["model"])], augment=str(spec["technique"]))
    seed, where = int(spec["model_seed"]), str(spec["evaluate_on"])
    return sick.train(
        config, model_seed=seed, evaluate_on=where, augment=augment, on_epoch=tracked.epoch, **quick()
    ).metrics


def config_hash(model: str) -> str:
    """Changes when the configuration behind a row does; a reference has none beyond its code."""
    return "reference" if model in REFERENCES else hash_of(asdict((CONFIGS | ATTEMPTS)[model]))[:8]


def _specs(models, seeds, places, **rest) -> list[Spec]:
    models = settings.pick(full=list(models), quick=list(models)[:2])
    seeds, places = (settings.pick(full=list(part), quick=list(part)[:1]) for part in (seeds, places))
    return [
        {"model": m, "config": config_hash(m), "evaluate_on": place, "model_seed": seed, **rest}
        for m in models
        for place in places
        for seed in ((0,) if m in REFERENCES else seeds)
    ]


def chosen() -> list[Spec]:
    """On test: three model seeds for every row, five for the finalists."""
    others = [name for name in (*LOSSES, *VARIANTS) if name not in FINALISTS]
    return _specs([*REFERENCES, *others], SEEDS, ["test"]) + _specs(FINALISTS, FINAL_SEEDS, ["test"])


def augmented() -> list[Spec]:
    """On test: every technique and all of them, with the seeds of the finalists; the arm without is in sick-models."""
    techniques = settings.pick(full=AUGMENTATIONS, quick=AUGMENTATIONS[:1])
    return [spec for name in techniques for spec in _specs(["best"], FINAL_SEEDS, ["test"], technique=name)]


def data_hash() -> str:
    """First digits of the SHA-256 over the SICK files."""
    return load_sick().attrs["sha256"][:12]


CROSS_VALIDATED = [*REFERENCES, *LOSSES, *VARIANTS, *ATTEMPTS]
STUDIES = (
    Study("sick-cv", lambda: _specs(CROSS_VALIDATED, [1], [f"cv{k}" for k in range(FOLDS)]), run, data_hash, CODE),
    Study("sick-models", chosen, run, data_hash, CODE),
    Study("sick-augment", augmented, run_augmented, data_hash, (*CODE, *AUGMENTATION_CODE)),
)
