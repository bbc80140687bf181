"""Models of a second's training on the synthetic sample, for the tests of what is registered and served."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from helpers.apps.serving import SERVICES
from helpers.tasks import meli, sick, sms


def saved_models(folder: Path) -> dict[str, Path]:
    """Train one model of each kind, whatever real data are at hand, and say in which folder each lies."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("DATA_MIRROR", raising=False)
        patch.setenv("DATA_OFFLINE", "1")
        patch.setenv("PROFILE", "quick")
        patch.setenv("DATA_CACHE", str(folder / "cache"))
        patch.setenv("ARTIFACTS_DIR", str(folder / "artifacts"))
        small = {"embedding_dim": 8, "hidden_size": 4}
        titles = meli.train(replace(meli.BEST, **small), split_seed=1, rows=1_500, epochs=1)
        messages = sms.train(replace(sms.BEST, **small, dense=4), split_seed=1, rows=300, epochs=2)
        pair = replace(sick.DISTRIBUTION, hidden_size=6, head_size=4, batch_size=8)
        pairs = sick.train(pair, model_seed=0, evaluate_on="trial", rows=40, epochs=2)
        results = dict(zip(SERVICES, (titles, messages, pairs), strict=True))
        return {name: result.model.save(folder / name) for name, result in results.items()}


@cache
def _loaded(name: str, folder: Path):
    return SERVICES[name].load(folder)


def expected(name: str, folder: Path, *texts: list[str]) -> list[dict]:
    """What the model itself says of these texts (one list per column), laid out as the server does."""
    model = _loaded(name, folder)
    if name == "meli-titles":
        return [{"categories": [{"category": c, "probability": p} for c, p in best]} for best in model.top(texts[0])]
    if name == "sms-spam":
        said = zip(model.predict(texts[0]), model.predict_proba(texts[0])[:, 1].tolist(), strict=True)
        return [{"label": ("ham", "spam")[spam], "spam_probability": p} for spam, p in said]
    said = zip(model.similarity(*texts).tolist(), model.similar(*texts).tolist(), *texts, strict=True)
    return [
        {"relatedness": relatedness, "similar": similar, "unknown_words": model.reader.unknown(first, second)}
        for relatedness, similar, first, second in said
    ]


def flat(answer) -> list:
    """The values of an answer one after the other, in the order of their keys: numbers are compared approximately."""
    if isinstance(answer, dict):
        return [value for key in sorted(answer) for value in (key, *flat(answer[key]))]
    return [value for part in answer for value in flat(part)] if isinstance(answer, list) else [answer]
