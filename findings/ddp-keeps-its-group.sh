#!/usr/bin/env bash
# torch.distributed.destroy_process_group() ends a process group, and its threads, once nobody holds the group. Where
# the first DistributedDataParallel of a program is made after init_process_group(), as every tutorial does, the group and its
# threads outlive the wrapped network, a garbage collection and destroy_process_group(), to the end of Python: PyTorch imports
# torch.distributed.nn then, whose functions have the group of that moment as a default argument. Imported before,
# it keeps nothing.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m pip install --quiet --disable-pip-version-check --root-user-action ignore \
    --target "$folder" torch==2.14.1 numpy==2.4.6
cat >"$folder/train.py" <<'PYTHON'
import gc
import sys
import weakref
from pathlib import Path

import torch
import torch.distributed as dist

if sys.argv[1] == "before":
    import torch.distributed.nn

store = dist.HashStore()
dist.init_process_group("gloo", store=store, rank=0, world_size=1)
network = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(2, 2))
network(torch.ones(1, 2)).sum().backward()
wrapped, group = weakref.ref(network), weakref.ref(dist.group.WORLD)
del network
gc.collect()
dist.destroy_process_group()
gc.collect()
names = [file.read_text().strip() for file in Path("/proc/self/task").glob("*/comm")]
print(wrapped() is None, group() is None, sum("gloo" in name for name in names))
PYTHON
PYTHONPATH="$folder" "${PYTHON:-python3}" - "$folder/train.py" <<'PYTHON'
import subprocess
import sys

import torch

print(f"torch {torch.__version__}")
print("One would guess that nothing of a group is left after destroy_process_group().")
print("torch.distributed.nn imported   network is gone   group is gone   threads of gloo")
seen = {}
for when in ("before", "by DDP"):
    command = [sys.executable, "-W", "ignore", sys.argv[1], when]
    network, group, threads = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    seen[when] = network == "True", group == "True", int(threads) > 0
    print(f"{when:31} {network:17} {group:15} {threads}")
if seen != {"before": (True, True, False), "by DDP": (True, False, True)}:
    sys.exit("this has changed")
PYTHON
