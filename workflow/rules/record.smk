# A request table in, the trace of the engine that serves it out; or the trace that recorded/ ships. TRACES (common.smk)
# says which of them a scenario gets. `snakemake --cores all record` makes the traces alone.
rule record_scenario:
    input:
        requests="<results>/workloads/{scenario}.parquet",
        calibration=config["calibration"],
        code=record_code,
    output:
        "<results>/traces/{scenario}.kvtrace",
    log:
        "<logs>/record/{scenario}.log",
    benchmark:
        "<logs>/benchmarks/record/{scenario}.tsv"
    wildcard_constraints:
        scenario=scenarios_from("cuda", "simulated", "vllm"),
    conda:
        "../envs/kv.yaml"
    resources:
        gpu=lambda wildcards: int(TRACES[wildcards.scenario] == "cuda"),
    params:
        source=trace_source,
        settings=settings("record"),
    message:
        "record {wildcards.scenario}: {params.source}"
    shell:
        "python -m pagedkv record --settings {params.settings:q} --requests {input.requests:q} --out {output:q} > {log:q} 2>&1"


rule recorded:
    input:
        trace="recorded/traces/{scenario}.kvtrace",
        provenance="recorded/traces/provenance.json",
    output:
        "<results>/traces/{scenario}.kvtrace",
    log:
        "<logs>/record/{scenario}.log",
    wildcard_constraints:
        scenario=scenarios_from("recorded"),
    conda:
        "../envs/kv.yaml"
    params:
        source=trace_source,
    message:
        "trace {wildcards.scenario}: {params.source}, as shipped"
    shell:
        "(python -m pagedkv verify --shipped {input.trace:q} && cp {input.trace:q} {output:q}) > {log:q} 2>&1"
