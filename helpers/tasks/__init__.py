"""The tasks, one file per corpus, and the register of studies; nothing of either is imported before it is asked for."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from helpers.tasks.studies import Study

TABLES = {  # study -> its module, and its rows in profile full
    "sms-models": ("sms_studies", 80),
    "sms-grouped": ("sms_studies", 60),
    "sms-duplicates": ("sms_studies", 40),
    "sms-variants": ("sms_studies", 60),
    "sms-listing": ("sms_studies", 10),
    "sms-ensemble": ("sms_studies", 10),
    "sms-attempts": ("sms_studies", 25),
    "meli-models": ("meli_studies", 30),
    "meli-oof": ("meli_studies", 15),
    "meli-learning": ("meli_studies", 8),
    "meli-attempts": ("meli_studies", 5),
    "meli-factors": ("meli_studies", 28),
    "meli-search": ("meli_studies", 30),
    "meli-transfer": ("meli_studies", 24),
    "sick-cv": ("sick_studies", 40),
    "sick-models": ("sick_studies", 47),
    "sick-augment": ("sick_studies", 35),
}


class Studies(Mapping[str, "Study"]):
    """The studies by name. Names and numbers of rows are at hand; a study itself imports its task."""

    def __getitem__(self, name: str) -> "Study":
        module, _ = TABLES[name]
        return import_module(f"helpers.tasks.{module}").STUDIES[name]

    def __iter__(self) -> Iterator[str]:
        return iter(TABLES)

    def __len__(self) -> int:
        return len(TABLES)


ROWS = {name: rows for name, (_, rows) in TABLES.items()}
STUDIES = Studies()
