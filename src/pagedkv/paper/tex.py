"""LaTeX text from Python values: escaping, numbers with a unit, and booktabs rows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "%": r"\%",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "×": r"$\times$",
    "≤": r"$\le$",
    "≥": r"$\ge$",
    "ρ": r"$\rho$",
    "∞": r"$\infty$",
    "–": "--",
    "…": r"\ldots{}",
}
MISSING = "n/a"
BLANK = "--"


def escape(text: object) -> str:
    """Text that LaTeX prints as it is."""
    return "".join(SPECIAL.get(c, c) for c in str(text))


def known(value: object) -> bool:
    """Whether a value is a finite number."""
    return isinstance(value, int | float) and math.isfinite(value)


def number(value: float, digits: int = 2) -> str:
    """A number with `digits` significant digits (whole numbers are kept whole); thousands set apart."""
    if not known(value):
        return MISSING
    if value == 0:
        return "0"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    text = f"{round(value, decimals):,.{decimals}f}".replace(",", r"\,")
    return text.replace("-", "$-$")


def percent(value: float, unit: bool = True) -> str:
    """A share in percent: no decimal from 10 on, one below, one significant digit below 0.1; less than 0.001 is 0."""
    if not known(value):
        return MISSING
    value *= 100
    if abs(value) < 0.001:
        text = "0"
    elif abs(value) < 0.095:
        text = f"{value:.{-math.floor(math.log10(abs(value)))}f}"
    else:
        text = f"{value:.{1 if abs(value) < 9.95 else 0}f}"
    return text.replace("-", "$-$") + (r"\,\%" if unit else "")


def seconds(value: float) -> str:
    """A duration with the unit that suits it."""
    if not known(value):
        return MISSING
    if value == 0:
        return r"0\,s"
    for limit, scale, unit in ((1e-3, 1e6, r"\textmu{}s"), (1, 1e3, "ms"), (120, 1, "s"), (7200, 1 / 60, "min")):
        if abs(value) < limit:
            return f"{number(value * scale, 3)}\\,{unit}"
    return f"{number(value / 3600, 3)}\\,h"


def size(value: float) -> str:
    """Bytes in binary units."""
    if not known(value):
        return MISSING
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1024:
            return f"{number(value, 3)}\\,{unit}"
        value /= 1024
    return f"{number(value, 3)}\\,TiB"


def cell(text: str) -> str:
    """A table cell: what is missing becomes a dash."""
    return BLANK if text == MISSING else text


def tabular(columns: str, header: Sequence[str], rows: Iterable[Sequence[str] | str], long: bool = False) -> str:
    """A whole booktabs table. A row that is a string is put as it is (a rule, a group's heading)."""
    body = [row if isinstance(row, str) else " & ".join(row) + r" \\" for row in rows]
    if not body:
        body = [rf"\multicolumn{{{len(header)}}}{{c}}{{no rows in this build}} \\"]
    head = " & ".join(rf"\textbf{{{h}}}" if h else "" for h in header) + r" \\"
    name = "longtable" if long else "tabular"
    repeat = [r"\endhead", r"\bottomrule", r"\endlastfoot"] if long else []
    end = [] if long else [r"\bottomrule"]
    lines = [rf"\begin{{{name}}}{{{columns}}}", r"\toprule", head, r"\midrule", *repeat, *body, *end]
    return "\n".join([*lines, rf"\end{{{name}}}"]) + "\n"


def group(title: str, width: int, first: bool = False) -> str:
    """A heading inside a table that spans its columns."""
    rule = "" if first else r"\addlinespace "
    return rf"{rule}\multicolumn{{{width}}}{{l}}{{\textit{{{title}}}}} \\"
