# What the simulator is held against, and whether offloading changes what requests get: both run on a CUDA device.
# `snakemake --cores all fidelity`, `snakemake --cores all identity`
rule measure:
    input:
        requests="<results>/workloads/{scenario}.parquet",
        trace="<results>/traces/{scenario}.kvtrace",
        calibration=config["calibration"],
        code=modules("metric.machine_runs", "prefetch", "eviction"),
    output:
        directory("<results>/fidelity/{scenario}"),
    log:
        "<logs>/measure/{scenario}.log",
    benchmark:
        "<logs>/benchmarks/measure/{scenario}.tsv"
    conda:
        "../envs/kv.yaml"
    resources:
        gpu=1,
    params:
        settings=settings("measure"),
    message:
        "measure {wildcards.scenario} on the CUDA device, in the closed loop and with its schedule pinned"
    shell:
        "python -m pagedkv measure --settings {params.settings:q} --requests {input.requests:q} --trace {input.trace:q} --out {output:q} > {log:q} 2>&1"


rule identity:
    input:
        calibration=config["calibration"],
        code=modules("metric.identity", "prefetch", "eviction"),
    output:
        "<results>/identity.json",
    log:
        "<logs>/identity.log",
    benchmark:
        "<logs>/benchmarks/identity.tsv"
    conda:
        "../envs/kv.yaml"
    resources:
        gpu=1,
    params:
        model=config["model"],
    message:
        "compare what requests get with and without offload, under every policy"
    shell:
        "python -m pagedkv identity --model {params.model:q} --calibration {input.calibration:q} --out {output:q} > {log:q} 2>&1"


# The simulator beside what recorded/fidelity ships of such runs; without any, a table that says that nothing was measured.
rule hold_against:
    input:
        measured=measured_files(),
        traces=sorted(map(str, Path("recorded/traces").glob("*.kvtrace"))),
        calibration=config["calibration"],
        code=modules("fidelity", "prefetch", "eviction"),
    output:
        "<results>/fidelity.parquet",
    log:
        "<logs>/fidelity.log",
    benchmark:
        "<logs>/benchmarks/fidelity.tsv"
    conda:
        "../envs/kv.yaml"
    params:
        folders=measured_folders(),
    message:
        "hold the simulator against what was measured on a GPU"
    shell:
        "python -m pagedkv fidelity {params.folders:q} --identity recorded/fidelity/identity.json"
        " --calibration {input.calibration:q} --out {output:q} > {log:q} 2>&1"
