#!/usr/bin/env bash
# Makes an environment with vLLM, the reference version, whose scheduler then runs on a CPU beside this package.
# usage: tools/vllm_env.sh [FOLDER]      (default .vllm; then FOLDER/bin/python -m pagedkv record --engine vllm ...)
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
folder=${1:-.vllm}
version=0.26.0

python=${PYTHON:-$(command -v python3.11 || command -v python3.12 || command -v python3)}
"$python" -m venv --clear "$folder"
"$folder/bin/python" -m pip install -q uv==0.13.9
install=("$folder/bin/uv" pip install -q --python "$folder/bin/python")
"${install[@]}" --require-hashes -r requirements-vllm.lock
# As `lab` does: builds of torch differ in hashes and dependencies.
"${install[@]}" ${PIP_FIND_LINKS:+--find-links "$PIP_FIND_LINKS"} -c requirements-vllm.lock torch==2.13.0
# Without its dependencies: its scheduler needs none of the GPU packages, and the pin of torch is of its GPU build.
"${install[@]}" --no-deps "vllm==$version" xgrammar==0.2.8
"${install[@]}" --no-deps -e .
"$folder/bin/python" -c 'from pagedkv.vllm.found import required; print("vLLM", required(), "in", "'"$folder"'")'
