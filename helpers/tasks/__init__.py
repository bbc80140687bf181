"""The recipes, one file per corpus, and the register of studies."""

from helpers.tasks import sms_studies
from helpers.tasks.studies import Study

STUDIES: dict[str, Study] = {study.name: study for study in sms_studies.STUDIES}
