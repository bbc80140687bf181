"""The recipes, one file per corpus, and the register of studies."""

from dataclasses import asdict, replace

from helpers.tasks import sms_studies
from helpers.tasks.sms_config import CONFIGS
from helpers.tasks.studies import Spec, Study


def _sms_configuration(spec: Spec) -> dict:
    """The configuration behind a row's name; a peer and the ensemble have none of that name."""
    return asdict(CONFIGS[spec["model"]]) if spec["model"] in CONFIGS else {}


STUDIES: dict[str, Study] = {s.name: replace(s, describe=_sms_configuration) for s in sms_studies.STUDIES}
