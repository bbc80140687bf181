"""The recipes, one file per corpus, and the register of studies."""

from dataclasses import asdict, replace

from helpers.tasks import meli_config, meli_search, meli_studies, sick_studies, sms_config, sms_studies
from helpers.tasks.studies import Study


def _configuration(task):
    """From a row to the configuration behind its name; a peer and an ensemble have none of that name."""
    configs = task.CONFIGS | task.ATTEMPTS
    return lambda spec: asdict(configs[spec["model"]]) if spec["model"] in configs else {}


STUDIES: dict[str, Study] = {
    study.name: study
    for study in (
        *(replace(study, describe=_configuration(sms_config)) for study in sms_studies.STUDIES),
        *(replace(study, describe=_configuration(meli_config)) for study in meli_studies.STUDIES),
        *meli_search.STUDIES,
        *sick_studies.STUDIES,
    )
}
