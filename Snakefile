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
include: "workflow/rules/replay.smk"
include: "workflow/rules/serve.smk"
include: "workflow/rules/metrics.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/report.smk"


rule all:
    default_target: True
    input:
        rules.report.output,
        rules.claims.output,


onsuccess:
    if Path(rules.claims.output.json).exists() and Path(rules.report.output.pdf).exists():
        shell(f"python -m pagedkv claims --print {rules.claims.output.json}")
        print(f"report: {rules.report.output.published}")
