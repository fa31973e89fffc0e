# One job a figure, so that an edit of one redraws that one; all tables in one job.
rule figure:
    input:
        metrics=rules.metrics.output.runs,
        serve=rules.metrics.output.serve,
        trace=drawn_trace,
        fidelity=drawn_fidelity,
        predict=rules.metrics.output.predict,
        measured=drawn_measurements,
        code=figure_code,
    output:
        pdf="<results>/figures/{figure}.pdf",
        png="<results>/figures/{figure}.png",
    log:
        "<logs>/figure/{figure}.log",
    benchmark:
        "<logs>/benchmarks/figure/{figure}.tsv"
    conda:
        "../envs/kv.yaml"
    params:
        trace=option("--trace"),
        fidelity=option("--fidelity"),
        measured=measurements_option,
    message:
        "figure {wildcards.figure}"
    shell:
        "python -m pagedkv figure {wildcards.figure} --metrics {input.metrics:q} --serve {input.serve:q} {params.trace}"
        " {params.fidelity} {params.measured} --predict {input.predict:q}"
        " --out {output.pdf:q} --png {output.png:q} > {log:q} 2>&1"


rule tables:
    input:
        metrics=rules.metrics.output.runs,
        serve=rules.metrics.output.serve,
        fidelity=rules.hold_against.output,
        predict=rules.metrics.output.predict,
        tuned=rules.tune.output if len(COMPARED) > 1 else [],
        decisions=shipped_benchmark("decisions"),
        speed=shipped_benchmark(),
        vllm=of_vllm(),
        beside=expand("<results>/beside/{scenario}.parquet", scenario=OF_VLLM),
        code=modules("paper.tables"),
    output:
        directory("<results>/tables"),
    log:
        "<logs>/tables.log",
    benchmark:
        "<logs>/benchmarks/tables.tsv"
    conda:
        "../envs/kv.yaml"
    params:
        speed=option("--speed"),
        tuned=option("--tuned"),
        decisions=option("--decisions"),
        vllm=vllm_option,
    message:
        "tables"
    shell:
        "python -m pagedkv tables --metrics {input.metrics:q} --serve {input.serve:q} --fidelity {input.fidelity:q}"
        " --predict {input.predict:q} {params.tuned} {params.decisions} {params.speed} {params.vllm} --out {output:q} > {log:q} 2>&1"
