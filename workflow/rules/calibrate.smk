# What a CUDA device costs: measured here, then fitted to what `calibration:` reads. `snakemake --cores all calibrate`
rule measure_costs:
    input:
        code=modules("device.calibrate"),
    output:
        "<results>/measured/raw.json",
    log:
        "<logs>/measure_costs.log",
    benchmark:
        "<logs>/benchmarks/measure_costs.tsv"
    conda:
        "../envs/kv.yaml"
    resources:
        gpu=1,
    params:
        model=config["model"],
    message:
        "measure copies and steps on this machine's CUDA device"
    shell:
        "python -m pagedkv calibrate --model {params.model:q} --out {output:q} > {log:q} 2>&1"


rule calibrate:
    input:
        raw=rules.measure_costs.output,
        code=modules("device.fit"),
    output:
        "<results>/measured/calibration.json",
    log:
        "<logs>/calibrate.log",
    benchmark:
        "<logs>/benchmarks/calibrate.tsv"
    conda:
        "../envs/kv.yaml"
    message:
        "fit a calibration to what was measured"
    shell:
        "python -m pagedkv fit --raw {input.raw:q} --out {output:q} > {log:q} 2>&1"
