# The PDF. Its date is that of the commit, so that equal sources and results are equal bytes.
rule report:
    input:
        main="report/report.tex",
        code=modules("paper.provenance"),
        sources=sorted(
            str(path) for path in Path("report").rglob("*") if path.suffix in (".tex", ".sty", ".bib", ".bst")
        ),
        numbers=rules.numbers.output,
        claims=rules.claims.output,
        tables=rules.tables.output,
        figures=expand(rules.figure.output.pdf, figure=config["report"]["figures"]),
    output:
        pdf="<results>/report.pdf",
        published="<report>/report.pdf",
    log:
        "<logs>/report.log",
    benchmark:
        "<logs>/benchmarks/report.tsv"
    conda:
        "../envs/kv.yaml"
    params:
        build=subpath(output.pdf, parent=True),
    message:
        "report"
    shell:
        "exec > {log:q} 2>&1;"
        " : ${{SOURCE_DATE_EPOCH:=$(git log -1 --format=%ct 2>/dev/null || echo 0)}};"
        " export SOURCE_DATE_EPOCH FORCE_SOURCE_DATE=1;"
        ' export TEXINPUTS="$PWD/report:$PWD/{params.build}:" BIBINPUTS="$PWD/report:";'
        " rm -rf {params.build:q}/tex;"
        " python -m pagedkv provenance --out {params.build:q}/provenance.tex;"
        " latexmk -pdf -halt-on-error -interaction=nonstopmode -file-line-error -outdir={params.build:q}/tex {input.main:q};"
        " cp {params.build:q}/tex/report.pdf {output.pdf:q};"
        " cp {output.pdf:q} {output.published:q}"
