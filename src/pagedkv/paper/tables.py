"""The report's tables: rows of the metrics as booktabs LaTeX.

`policies` a row a policy and scenario; `scenarios` what was served and where such a machine is; `serve` the closed
loop; `bounds` what no policy can beat; `summary` the best of each family; `real` real inputs beside the embedded
scenario that imitates them; `fidelity`, `fidelity_runs`, `ablations` and `identity` the simulator beside a GPU
(`fidelity_tables.py`); `speed` the bars of speed (`speed.py`); `leaderboard`, `policies_use`, `policies_worth` and
`tuned` every policy side by side (`leaderboard.py`); `predictability` and `decisions` (`predict_tables.py`);
`vllm_conformance`, `vllm_value` and `vllm_choices` (`vllm.py`), `vllm_gpu` and `vllm_measured` (`vllm_gpu.py`).
Tables of every run break across pages, so they need a single column.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pagedkv.files import write_whole
from pagedkv.paper import fidelity_rows, frames, leaderboard, predict_rows, predict_tables, speed, tex, vllm, vllm_gpu
from pagedkv.paper.fidelity_tables import ablations, bars, closed_runs, identity

GIB = 2**30
# Device memory in GB as sold, of which vLLM's default share of 0.9 is used; bf16 weights of the default model.
GPUS = {"H200": 141e9, "H100": 80e9, "L40S": 48e9, "A10": 24e9}
USABLE = 0.9
WEIGHTS = 16.06e9
BLOCK_BYTES = 2 * 2**20  # one block of the default model, where the rows do not say
EVICTIONS = {"lru": 0, "vllm_free_queue": 0, "plan_aware": 1, "min": 2}  # order in a group of rows
# A word in the name of a real input, and the embedded scenario made after it; the first that fits.
TWINS = {"mooncake": "chat", "agent": "agent", "kv-cache": "agent", "code": "code", "conv": "azure_conv"}


def value(row: object, column: str, form=tex.percent) -> str:
    """A cell: the column of a row formatted, or a dash."""
    got = getattr(row, column, None)
    got = float(got) if isinstance(got, int | float) or hasattr(got, "dtype") else math.nan
    return tex.cell(form(got))


def _interval(row: object) -> str:
    text = value(row, "stall_removed", _points)
    low, high = (value(row, f"stall_removed_{end}", _points) for end in ("lo", "hi"))
    return text if tex.BLANK in (text, low, high) else f"{text} [{low}, {high}]"


def _points(share: float) -> str:
    return tex.percent(share, unit=False)


def _ratio(number: float) -> str:
    return tex.number(number, 3)


def _count(number: float) -> str:
    return f"{number:,.0f}".replace(",", r"\,") if tex.known(number) else tex.MISSING


def _groups(frame: pd.DataFrame, width: int) -> Iterator[tuple[str, pd.DataFrame]]:
    for place, pair in enumerate(frames.scenarios(frame)):
        yield tex.group(tex.escape(frames.title(pair)), width, place == 0), frames.of_scenario(frame, pair)


def policies(metrics: pd.DataFrame) -> str:
    """Every policy of the matrix under D-step."""
    frame = pd.concat([frames.main(metrics), frames.matched(metrics)])
    frame = frame.drop_duplicates(["scenario", "recorded", "series", "params", "eviction"])
    order = {s: i for i, s in enumerate(frames.policy_order(frame))}
    header = ["policy", "eviction", "level", "accuracy", "coverage", "cross-step", "late", "traffic"]
    header += ["stall removed (\\%)", "gap left"]
    rows: list = []
    for heading, group in _groups(frame, len(header)):
        rows.append(heading)
        group = group.assign(place=group["series"].map(order), own=group["eviction"].map(EVICTIONS).fillna(9))
        group = group.sort_values(["place", "own", "eviction"], kind="stable")
        for row in group.itertuples():
            level = f"I{int(row.knowledge)}" if row.knowledge == row.knowledge else tex.BLANK
            cells = [tex.escape(row.series), tex.escape(row.eviction), level]
            cells += [value(row, c) for c in ("accuracy", "coverage", "cross_step_share", "lateness")]
            cells += [value(row, "amplification_blocks", lambda v: f"{v:.2f}" if tex.known(v) else tex.MISSING)]
            rows.append([*cells, _interval(row), value(row, "optimality_gap")])
    return tex.tabular("llcrrrrrrr", header, rows, long=True)


def gpu_ratios(row: object) -> dict[str, float]:
    """Room for KV on each GPU over the peak live KV of a scenario at its true rate."""
    block = getattr(row, "block_bytes", math.nan)
    block = block if tex.known(block) and block > 0 else BLOCK_BYTES
    scale = getattr(row, "rate_scale", math.nan)
    scale = scale if tex.known(scale) and scale > 0 else 1.0
    weights = getattr(row, "weights_bytes", math.nan)
    weights = weights if tex.known(weights) and weights > 0 else WEIGHTS
    peak = float(getattr(row, "peak_live_blocks", math.nan)) * block / scale
    return {gpu: max(0.0, memory * USABLE - weights) / peak for gpu, memory in GPUS.items()}


def scenarios(metrics: pd.DataFrame) -> str:
    """What was served, at which pressure, and what that means on real devices."""
    rows = []
    frame = frames.main(metrics)
    for pair in frames.scenarios(frame):
        row = next(frames.of_scenario(frame, pair).itertuples())
        none = frames.reference(frames.of_scenario(frame, pair))
        real = next(none.itertuples(), row)
        ratios = gpu_ratios(row)
        cells = [tex.escape(frames.title(pair)), value(row, "requests", _count), value(row, "steps", _count)]
        cells += [value(row, c, _count) for c in ("capacity_blocks", "peak_live_blocks")]
        cells += [value(row, "pool_ratio", _ratio), value(real, "rho", _ratio), value(real, "unknowable_share")]
        marks = [tex.cell(_ratio(r)) for r in ratios.values()]
        pool = getattr(row, "pool_ratio", math.nan)
        near = min(ratios, key=lambda g: abs(math.log(ratios[g] / pool))) if _comparable(ratios, pool) else None
        marks = [rf"\textbf{{{m}}}" if gpu == near else m for gpu, m in zip(ratios, marks, strict=True)]
        rows.append([*cells, *marks])
    header = ["scenario", "requests", "steps", "pool", "peak live", "ratio", r"$\rho$", "unknowable", *GPUS]
    return tex.tabular("lrrrrrrr" + "r" * len(GPUS), header, rows)


def _comparable(ratios: dict[str, float], pool: float) -> bool:
    return tex.known(pool) and pool > 0 and all(tex.known(r) and r > 0 for r in ratios.values())


def serve(frame: pd.DataFrame) -> str:
    """The closed loop."""
    frame = frames.pooled(frame)
    order = {s: i for i, s in enumerate(frames.policy_order(frame))} if len(frame) else {}
    header = ["policy", "eviction", "demand", "TTFT p50", "p99", "TPOT p50", "p99", "tokens/s", "stall", "preempted"]
    rows: list = []
    for heading, group in _groups(frame, len(header)):
        rows.append(heading)
        group = group.assign(place=group["series"].map(order)).sort_values(["demand", "place"], kind="stable")
        for row in group.itertuples():
            times = ("ttft_p50_s", "ttft_p99_s", "tpot_p50_s", "tpot_p99_s")
            cells = [tex.escape(row.series), tex.escape(row.eviction), row.demand]
            cells += [value(row, c, tex.seconds) for c in times]
            cells += [value(row, "tokens_s", _count), value(row, "stall_s", tex.seconds)]
            rows.append([*cells, value(row, "preemptions", _count)])
    return tex.tabular("lllrrrrrrr", header, rows, long=True)


def bounds(metrics: pd.DataFrame) -> str:
    """The bounds beside the stall without prefetch and the best that a policy reached."""
    rows = []
    frame = frames.main(metrics)
    for pair in frames.scenarios(frame):
        own = frames.of_scenario(frame, pair)
        none = next(frames.reference(own).itertuples(), None)
        if none is None:
            continue
        cells = [tex.escape(frames.title(pair)), value(none, "bound_compute_s", tex.seconds)]
        cells += [value(none, "bound_min_loads", _count), value(none, "demand_loads", _count)]
        cells += [value(none, c, tex.seconds) for c in ("bound_b1_s", "bound_b2_s", "bound_s", "stall_s")]
        best = pd.to_numeric(own["stall_s"], errors="coerce").min()
        rows.append([*cells, tex.cell(tex.seconds(float(best)))])
    header = ["scenario", "B0 compute", "B1 loads", "LRU loads", "B1", "B2", "bound", "stall, none", "least stall"]
    return tex.tabular("lrrrrrrrr", header, rows)


def twin(pair: tuple[str, bool]) -> str | None:
    """The embedded scenario that was made after a real input; None for what is itself embedded."""
    name, recorded = pair
    if name.startswith(vllm.PREFIX):
        return None
    made_after = next((scenario for word, scenario in TWINS.items() if word in name.lower()), None)
    return made_after if recorded or name != made_after else None


FAMILIES = ["stall, none", "OS logical", "OS slots", "plan", "arrivals", "oracle", "eviction alone", "bound"]


def summary(metrics: pd.DataFrame) -> str:
    """The best of each family of policies, for every scenario that this build replayed."""
    frame = frames.main(metrics)
    rows = [_families(frame, pair) for pair in frames.scenarios(frame) if not pair[1]]
    return tex.tabular("lrr" + "r" * len(FAMILIES), ["scenario", r"$\rho$", "unknowable", *FAMILIES], rows)


def real(metrics: pd.DataFrame) -> str:
    """Real inputs beside their embedded twins: the best of each family of policies."""
    frame = frames.main(metrics)
    shown = frames.scenarios(frame)
    rows: list = []
    for pair in (p for p in shown if twin(p)):
        rows += [r"\addlinespace"] if rows else []
        rows.append(_families(frame, pair))
        if (twin(pair), False) in shown:
            rows.append(_families(frame, (twin(pair), False)))
    return tex.tabular("lrr" + "r" * len(FAMILIES), ["input", r"$\rho$", "unknowable", *FAMILIES], rows)


def vllm_value(metrics: pd.DataFrame, beside: pd.DataFrame) -> str:
    """vLLM's traces beside two of ours of the same requests: in our default mode and in vLLM's."""
    frame = frames.main(metrics)
    rows: list = []
    for ours, theirs in vllm.pairs(frame):
        rows += [r"\addlinespace"] if rows else []
        shown = (
            (f"{ours}, ours", frame, ours),
            (f"{ours}, ours as vLLM", beside, theirs),
            (f"{ours}, vLLM", frame, theirs),
        )
        rows += [[tex.escape(label), *_families(source, (name, False))[1:]] for label, source, name in shown]
    return tex.tabular("lrr" + "r" * len(FAMILIES), ["trace", r"$\rho$", "unknowable", *FAMILIES], rows)


def _families(frame: pd.DataFrame, pair: tuple[str, bool]) -> list[str]:
    own = frames.of_scenario(frame, pair)
    lru = own[own["eviction"].isin(frames.LRU)]
    none = next(lru[lru["kind"] == "none"].itertuples(), None)
    spatial = lru[lru["kind"] == "spatial"]
    groups = [spatial[spatial["address"] == "logical"], spatial[spatial["address"] != "logical"]]
    schedule = lru[lru["kind"] == "schedule"]
    groups += [schedule[schedule["knowledge"] == 4], schedule[schedule["knowledge"] == 5], lru[lru["kind"] == "oracle"]]
    groups += [own[(own["kind"] == "none") & (own["eviction"] == "plan_aware")]]
    best = [tex.cell(tex.percent(float(g["stall_removed"].max()))) for g in groups]
    cells = [tex.escape(frames.title(pair)), value(none, "rho", _ratio), value(none, "unknowable_share")]
    return [*cells, value(none, "stall_s", tex.seconds), *best, value(none, "bound_removed")]


@dataclass(frozen=True)
class More:
    """Where the tables beyond the runs come from; a table without its input says that there is none."""

    fidelity: fidelity_rows.Source = None
    benchmark: speed.Source = None
    predict: predict_rows.Source = None
    tuned: str | Path | None = None
    decisions: str | Path | None = None
    vllm: str | Path | None = None
    beside: Sequence[frames.Source] = ()


def write(metrics: frames.Source, closed: frames.Source, out_dir: str | Path, more: More = More()) -> None:
    """Write every table to `out_dir`, each as NAME.tex."""
    rows, loop = frames.load(metrics), frames.load(closed)
    made = {"policies": policies(rows), "scenarios": scenarios(rows), "bounds": bounds(rows)}
    made |= {"summary": summary(rows), "real": real(rows), "serve": serve(loop)}
    made |= {"leaderboard": leaderboard.leaderboard(rows), "tuned": leaderboard.tuned(more.tuned)}
    made |= {"policies_use": leaderboard.policies_use(rows), "policies_worth": leaderboard.policies_worth(rows)}
    made |= {"predictability": predict_tables.predictability(predict_rows.load(more.predict))}
    made |= {"learned": predict_tables.learned(predict_rows.load(more.predict))}
    made |= {"decisions": predict_tables.decisions(more.decisions)}
    measured = fidelity_rows.load(more.fidelity)
    made |= {"fidelity": bars(measured), "fidelity_runs": closed_runs(measured)}
    made |= {"ablations": ablations(measured), "identity": identity(measured)}
    of_vllm = vllm.load(more.vllm)
    made |= {"vllm_conformance": vllm.conformance(of_vllm), "vllm_choices": vllm.choices(of_vllm, frames.pooled(loop))}
    made |= {"vllm_gpu": vllm_gpu.side_by_side(more.vllm)}
    made |= {"vllm_measured": vllm_gpu.measured(of_vllm.measured, of_vllm.choices)}
    made |= {"vllm_value": vllm_value(rows, vllm.load_beside(more.beside))}
    made |= {"speed": speed.table(speed.load(more.benchmark))}
    for name, text in made.items():
        write_whole(Path(out_dir) / f"{name}.tex", f"% Generated by `pagedkv tables`.\n{text}")
