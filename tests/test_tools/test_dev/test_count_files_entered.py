"""The way from a config's hooks to the op stays short."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
# Files; one more is one more to read for whoever follows a call.
MOST = 17


def test_the_way_to_the_op_is_short():
    done = subprocess.run(
        [sys.executable, '-m', 'tools.dev.count_files_entered'],
        cwd=ROOT,
        env={**os.environ, 'OMP_NUM_THREADS': '1'},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    title, *rows = done.stdout.splitlines()
    files = [row.split()[0] for row in rows]
    assert title == f'{len(files)} files'
    assert files[0].startswith('hooks/')
    assert 'ops/cpu/sparse.py' in files
    assert len(files) <= MOST
