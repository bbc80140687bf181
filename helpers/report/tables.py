"""Tables as the notebooks show them: the rows of a study, one line per group, headings in Spanish."""

from collections.abc import Mapping

import pandas as pd

DECIMALS = 4
PLUS_MINUS = "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}"


def mean_and_std(
    table: pd.DataFrame,
    by: str,
    columns: Mapping[str, str],
    *,
    names: Mapping[str, str] | None = None,
    decimals: Mapping[str, int] | None = None,
    sort: str | None = None,
) -> pd.DataFrame:
    """Mean and standard deviation (n - 1) over the rows of a group: "0.9291 ± 0.0221", its spaces unbreakable.

    A group of one row shows its value alone; where nothing was measured stands "—".

    Args:
        table: one row per run.
        by: column that names the group.
        columns: metric -> heading, in this order.
        names: group -> name shown.
        decimals: metric -> digits after the point, where not 4.
        sort: metric by whose mean the groups are ordered, largest first; else as they first appear.

    Raises:
        KeyError: the table lacks one of the columns.
    """
    groups = table.groupby(by, sort=False)[list(columns)]
    means, stds = groups.mean(), groups.std()
    if sort is not None:
        means = means.sort_values(sort, ascending=False, kind="stable")
    shown = pd.DataFrame(index=means.index)
    for metric, heading in columns.items():
        digits = (decimals or {}).get(metric, DECIMALS)
        pairs = zip(means[metric], stds.loc[means.index, metric], strict=True)
        shown[heading] = [_cell(mean, std, digits) for mean, std in pairs]
    return shown.rename(index=names or {}).rename_axis(index=None)


def _cell(mean: float, std: float, digits: int) -> str:
    if pd.isna(mean):
        return "—"
    return f"{mean:,.{digits}f}" + ("" if pd.isna(std) else f"{PLUS_MINUS}{std:,.{digits}f}")
