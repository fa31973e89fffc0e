# All runs together with what recorded/ ships, with intervals; what the text quotes; the claims, each checked.
rule metrics:
    input:
        runs=expand("<results>/runs/{scenario}.parquet", scenario=SCENARIOS)
        + expand(
            "<results>/compared/{scenario}.{part}.parquet", scenario=COMPARED if len(COMPARED) > 1 else [], part=PARTS
        )
        + expand("<results>/seeds/{scenario}.parquet", scenario=SEEDED),
        serve=expand("<results>/serve/{scenario}.parquet", scenario=SCENARIOS),
        predict=expand("<results>/predict/{scenario}.parquet", scenario=SCENARIOS),
        recorded=sorted(map(str, Path("recorded/results").glob("*"))),
        decisions=shipped_benchmark("decisions"),
        code=modules("metric"),
    output:
        runs="<results>/metrics.parquet",
        serve="<results>/serve.parquet",
        predict="<results>/predict.parquet",
    log:
        "<logs>/metrics.log",
    benchmark:
        "<logs>/benchmarks/metrics.tsv"
    conda:
        "../envs/kv.yaml"
    params:
        decisions=option("--decisions"),
    message:
        "metrics of all runs"
    shell:
        "python -m pagedkv metrics --runs {input.runs:q} --serve {input.serve:q} --recorded recorded/results {params.decisions}"
        " --predict {input.predict:q}"
        " --out-runs {output.runs:q} --out-serve {output.serve:q} --out-predict {output.predict:q} > {log:q} 2>&1"


rule claims:
    input:
        spec="report/claims.yaml",
        metrics=rules.metrics.output.runs,
        serve=rules.metrics.output.serve,
        fidelity=rules.hold_against.output,
        code=modules("paper.claims"),
    output:
        json="<results>/claims.json",
        tex="<results>/claims.tex",
    log:
        "<logs>/claims.log",
    benchmark:
        "<logs>/benchmarks/claims.tsv"
    conda:
        "../envs/kv.yaml"
    message:
        "claims, each checked"
    shell:
        "python -m pagedkv claims --spec {input.spec:q} --metrics {input.metrics:q} --serve {input.serve:q}"
        " --fidelity {input.fidelity:q} --out-json {output.json:q} --out-tex {output.tex:q} > {log:q} 2>&1"


rule numbers:
    input:
        metrics=rules.metrics.output.runs,
        serve=rules.metrics.output.serve,
        fidelity=rules.hold_against.output,
        claims=rules.claims.output.json,
        calibration=config["calibration"],
        predict=rules.metrics.output.predict,
        decisions=shipped_benchmark("decisions"),
        speed=shipped_benchmark(),
        vllm=of_vllm(),
        beside=expand("<results>/beside/{scenario}.parquet", scenario=OF_VLLM),
        code=modules("paper.numbers"),
    output:
        tex="<results>/numbers.tex",
        json="<results>/numbers.json",
    log:
        "<logs>/numbers.log",
    benchmark:
        "<logs>/benchmarks/numbers.tsv"
    conda:
        "../envs/kv.yaml"
    params:
        speed=option("--speed"),
        decisions=option("--decisions"),
        vllm=vllm_option,
    message:
        "numbers that the text quotes"
    shell:
        "python -m pagedkv numbers --metrics {input.metrics:q} --serve {input.serve:q} --claims {input.claims:q}"
        " --calibration {input.calibration:q} --fidelity {input.fidelity:q} {params.speed}"
        " --predict {input.predict:q} {params.decisions} {params.vllm}"
        " --out-tex {output.tex:q} --out-json {output.json:q} > {log:q} 2>&1"
