"""The examples of the door sign run as they stand."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from embedbridge import batch

SIGN = Path(batch.__file__).with_name("README.md").read_text()


@pytest.mark.parametrize("block", re.findall(r"```python\n(.*?)```", SIGN, re.DOTALL), ids=["night", "langchain"])
def test_each_example_runs_as_it_stands(block, tmp_path):
    done = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
