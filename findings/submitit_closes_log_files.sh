#!/usr/bin/env bash
# submitit 1.5.4 and mmengine 0.10.7: importing submitit ends the log files of a process.
#
# A good guess: importing a package that submits jobs changes nothing of the logs that
# are open, least of all as it asks that existing loggers be left alone
# (disable_existing_loggers=False). It does not leave their files: it sets up its own
# logger by logging.config.dictConfig as it is imported, which shuts down every handler
# of the process, and MMEngine's file is opened with mode 'w', which is not opened again.
# The training goes on, its log does not; init_weights, which writes into
# that file by itself, ends with an AttributeError. SUBMITIT_LOG_LEVEL=NOCONFIG leaves them open.
#
# Seen: the log file has no line after the import; init_weights: AttributeError:
# 'NoneType' object has no attribute 'write'; with NOCONFIG both go well.
# Installs pinned public packages in a temporary folder (6 GB), and fails if what they
# do has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile torch==2.14.1 numpy==2.2.6 \
  mmengine==0.10.7 submitit==1.5.4 setuptools==80.9.0

cd "$folder"
cat > script.py <<'PYTHON'
import importlib
import logging
from pathlib import Path

import mmengine
import torch
from mmengine.logging import MMLogger
from mmengine.model import BaseModule

log = MMLogger.get_instance('run', log_file='log.txt')
log.info('before')
submitit = importlib.import_module('submitit')
log.info('after')
written = [word for word in ('before', 'after') if word in Path('log.txt').read_text()]


class Model(BaseModule):
    def __init__(self):
        super().__init__(init_cfg=dict(type='Constant', layer='Linear', val=1))
        self.layer = torch.nn.Linear(2, 1)


try:
    Model().init_weights()
    said = 'init_weights goes well'
except AttributeError as error:
    said = f'init_weights: AttributeError: {error}'
print(f'log has {written}; {said}')
PYTHON

seen=$(venv/bin/python -W ignore script.py 2>/dev/null | tail -n 1)
left_open=$(SUBMITIT_LOG_LEVEL=NOCONFIG venv/bin/python -W ignore script.py 2>/dev/null |
  tail -n 1)
venv/bin/pip list 2>/dev/null | grep -E '^(mmengine|submitit) '
echo "as it comes: $seen"
echo "NOCONFIG: $left_open"
error="AttributeError: 'NoneType' object has no attribute 'write'"
[ "$seen" = "log has ['before']; init_weights: $error" ]
[ "$left_open" = "log has ['before', 'after']; init_weights goes well" ]
