"""The recipes, one file per corpus, and the register of studies."""

from dataclasses import asdict, replace

from helpers.tasks import meli, meli_studies, sick_studies, sms, sms_studies
from helpers.tasks.studies import Study


def _configuration(task):
    """From a row to the configuration behind its name; a peer and an ensemble have none of that name."""
    configs = task.CONFIGS | task.ATTEMPTS
    return lambda spec: asdict(configs[spec["model"]]) if spec["model"] in configs else {}


STUDIES: dict[str, Study] = {
    study.name: study
    for study in (
        *(replace(study, describe=_configuration(sms)) for study in sms_studies.STUDIES),
        *(replace(study, describe=_configuration(meli)) for study in meli_studies.STUDIES),
        *meli_studies.SEARCH_STUDIES,
        *sick_studies.STUDIES,
    )
}
