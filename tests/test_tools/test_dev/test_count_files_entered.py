"""The way from a config's hooks to the op stays short."""

import re

from dropblock_mm.testing.processes import start_script

# Files; one more is one more to read for whoever follows a call.
MOST = 17


def test_the_way_to_the_op_is_short(repo_root, tmp_path):
    # In a process where none of it ran yet: what is kept from a call is not called.
    said = tmp_path / 'said.txt'
    done = start_script(repo_root / 'tools/dev/count_files_entered.py', [], said)
    done.join()
    text = said.read_text()
    assert done.exitcode == 0, text
    # MMEngine warns first, of the way in which the process was started.
    (printed,) = re.findall(r'^\d+ files\n.*', text, re.MULTILINE | re.DOTALL)
    title, *rows = printed.splitlines()
    files = [row.split()[0] for row in rows]
    assert title == f'{len(files)} files'
    assert files[0].startswith('hooks/')
    assert 'ops/cpu/sparse.py' in files
    assert len(files) <= MOST
