#!/usr/bin/env bash
# Brings the wheels of requirements-record.lock into a folder that can be carried to a GPU machine without network.
set -euo pipefail
[ $# = 1 ] || { echo "usage: tools/record_wheels.sh FOLDER" >&2; exit 2; }
folder=$(realpath -m "$1")
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."

pip=("${PYTHON:-python3}" -m pip --disable-pip-version-check)
wheels=$(mktemp -d)
trap 'rm -rf "$wheels"' EXIT

# For Python 3.12 on 64-bit Linux, whatever runs here.
"${pip[@]}" -q download --no-deps --require-hashes --dest "$wheels" -r requirements-record.lock \
    --implementation cp --python-version 3.12 --abi cp312 --abi abi3 --abi none \
    --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 \
    --platform manylinux_2_12_x86_64 --platform manylinux2010_x86_64 --platform manylinux1_x86_64

# What is published as source only has to be plain Python, so that a wheel made here is good there.
find "$wheels" -type f ! -name '*.whl' | while read -r source; do
    "${pip[@]}" -q wheel --no-deps --wheel-dir "$wheels/made" "$source"
    rm "$source"
    mv "$wheels"/made/*-none-any.whl "$wheels"
    rmdir "$wheels/made"
done

mkdir -p "$folder"
rm -f "$folder"/*.whl
mv "$wheels"/*.whl "$folder"
echo "$folder: $(find "$folder" -type f | wc -l) files, $(du -sb "$folder" | cut -f1) bytes"
