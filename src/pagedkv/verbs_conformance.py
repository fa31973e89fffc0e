"""The verb `conformance`: our steps beside those of vLLM."""

from __future__ import annotations

from typing import Any

from pagedkv.errors import PagedKVError
from pagedkv.verbs import Arguments


def conformance(arguments: Arguments) -> None:
    from pagedkv import config
    from pagedkv.conformance.cases import read_cases
    from pagedkv.conformance.stored import StoredSteps, write_steps
    from pagedkv.conformance.table import Comparison
    from pagedkv.metric.aggregate import write_rows
    from pagedkv.vllm.found import found
    from pagedkv.vllm.process import hash_seed_fixed
    from pagedkv.workload.sources import default_data_dir

    here = found() is not None
    against = arguments.against or ("vllm" if here else "recorded")
    if against == "vllm" and not here:
        raise PagedKVError("conformance: vLLM is not installed here; --against recorded takes what is shipped of it")
    if arguments.keep is not None and against != "vllm":
        raise PagedKVError("conformance: --keep writes what vLLM does here, and vLLM is not run")
    if against == "vllm":
        hash_seed_fixed()
    cases = read_cases(arguments.cases)
    stored = StoredSteps() if against == "recorded" else None
    comparison = Comparison(default_data_dir(), config.load()["sources"], stored)
    rows = comparison.rows(cases, _say)
    write_rows(rows, arguments.out)
    if arguments.keep is not None:
        write_steps(arguments.keep, rows, comparison.steps, comparison.versions)
    exact = rows[rows["exact"]]
    same, steps = int(exact["identical_steps"].sum()), int(exact["steps"].sum())
    print(f"{arguments.out}: {len(rows)} of {len(cases)} cases; of those that have to agree,")
    print(f"  {int((exact['steps'] == exact['identical_steps']).sum())} of {len(exact)} do, in {same} of {steps} steps")


def _say(row: dict[str, Any]) -> None:
    end = f"; {row['first_difference']}" if row["first_difference"] else ""
    print(f"{row['class']}/{row['case']}: {row['identical_steps']} of {row['steps']} steps{end}", flush=True)
