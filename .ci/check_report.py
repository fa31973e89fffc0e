"""Checks a built report: `./lab python .ci/check_report.py RESULTS CONFIG...`.

It has its pages, none of them blank; every figure of the configuration is in it, with a caption; no reference,
citation or number is left open. Prints what is wrong, a line each, and exits with 1 if anything is.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from pagedkv import config

FEWEST_PAGES = 6
OPEN = re.compile(r"(Reference|Citation|Label).*(undefined|multiply defined)|undefined references|Undefined control")


def problems(pages: list[str], log: str, files_read: str, figures: list[str]) -> list[str]:
    """What is wrong, from the text of each page, LaTeX's log and list of files, and the figures that must be there."""
    found = []
    if len(pages) < FEWEST_PAGES:
        found.append(f"{len(pages)} pages, at least {FEWEST_PAGES} are expected")
    found += [f"page {number} has no text" for number, page in enumerate(pages, 1) if not page.strip()]
    read = {Path(line).name for line in files_read.splitlines()}
    found += [f"figure {name} is not in the report" for name in figures if f"{name}.pdf" not in read]
    text = "\n".join(pages)
    captions = set(re.findall(r"^\s*(?:.*\s)?(?:Figure|Fig\.)\s+(\d+)[:.]", text, re.MULTILINE))
    if len(captions) < len(figures):
        found.append(f"{len(captions)} figure captions for {len(figures)} figures")
    found += [
        f"an open reference in the text: {line.strip()}" for line in text.splitlines() if re.search(r"\?\?|\[\?", line)
    ]
    found += [f"LaTeX: {line}" for line in log.splitlines() if OPEN.search(line)]
    return found


def _run(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def check(results: Path, configuration: config.Config) -> list[str]:
    """What is wrong with the report in a results folder."""
    pdf, build = results / "report.pdf", results / "tex"
    if not pdf.is_file():
        return [f"{pdf} is not there"]
    count = int(re.search(r"^Pages:\s+(\d+)", _run("pdfinfo", pdf), re.MULTILINE)[1])
    pages = [_run("pdftotext", "-layout", "-f", str(n), "-l", str(n), pdf, "-") for n in range(1, count + 1)]
    log, files_read = ((build / name).read_text(errors="replace") for name in ("report.log", "report.fls"))
    found = problems(pages, log, files_read, configuration["report"]["figures"])
    # A figure that was drawn as pixels would show here; the report wants vectors.
    if rasters := _run("pdfimages", "-list", pdf).splitlines()[2:]:
        found.append(f"{len(rasters)} raster images, where figures should be vectors")
    return found


if __name__ == "__main__":
    where, *files = sys.argv[1:]
    wrong = check(Path(where), config.load(files))
    print("\n".join(wrong) if wrong else f"{where}/report.pdf: pages, figures and references are complete")
    sys.exit(bool(wrong))
