"""The gateway's process holds nothing that computes."""

import subprocess
import sys


def test_the_application_imports_neither_numpy_nor_models():
    program = (
        "import sys, sonorant.protocols.app;"
        "heavy = {'numpy', 'onnxruntime', 'av', 'torch'} | "
        "{f'sonorant.{room}' for room in ('audio', 'networks', 'families', 'replica', 'cli')};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert found.stdout.strip() == "[]", found.stderr
