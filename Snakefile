"""Everything from workloads to the report: `./lab snakemake --cores all`. README.md says what comes out."""

from snakemake.utils import min_version

min_version("9.27")


configfile: "config.yaml"


# Where things go; a configuration may move them (config/smoke.yaml does), so that two runs do not mix.
pathvars:
    report="report",


include: "workflow/rules/common.smk"
include: "workflow/rules/workload.smk"
include: "workflow/rules/record.smk"
include: "workflow/rules/calibrate.smk"
include: "workflow/rules/fidelity.smk"
include: "workflow/rules/replay.smk"
include: "workflow/rules/leaderboard.smk"
include: "workflow/rules/predict.smk"
include: "workflow/rules/serve.smk"
include: "workflow/rules/vllm.smk"
include: "workflow/rules/metrics.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/report.smk"


rule all:
    default_target: True
    input:
        rules.report.output,
        rules.claims.output,


# What a machine with a GPU is for: the traces alone, and what the simulator is held against.
rule record:
    input:
        expand("<results>/traces/{scenario}.kvtrace", scenario=SCENARIOS),


rule fidelity:
    input:
        expand(
            "<results>/fidelity/{scenario}",
            scenario=[name for name in config["fidelity"]["scenarios"] if name in SCENARIOS],
        ),


onsuccess:
    if Path(rules.claims.output.json).exists() and Path(rules.report.output.pdf).exists():
        shell(f"python -m pagedkv claims --print {rules.claims.output.json}")
        print(f"report: {rules.report.output.published}")
