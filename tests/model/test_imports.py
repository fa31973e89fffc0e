"""What importing the model costs."""

import subprocess
import sys


def test_the_model_is_imported_without_the_libraries_of_its_tests_and_of_the_gpu():
    code = "import pagedkv.model.decoder, pagedkv.model.checkpoint, sys; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "torch" in found
    assert not {"transformers", "safetensors", "pagedkv.model.kernels"} & set(found)
