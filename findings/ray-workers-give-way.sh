#!/usr/bin/env bash
# Ray runs its workers with a niceness of 15. On a machine that does anything else, the same work in plain
# processes gets most of the processor, and Ray's workers what is left.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m pip install --quiet --disable-pip-version-check --root-user-action ignore \
    --target "$folder" ray==2.60.0
cat > "$folder/shown.py" <<'PYTHON'
import os
import subprocess
import sys

import ray

ray.init("local", num_cpus=1, object_store_memory=80 << 20, log_to_driver=False)
worker = ray.get(ray.remote(lambda: os.getpriority(os.PRIO_PROCESS, 0)).remote())
plain = int(subprocess.check_output([sys.executable, "-c", "import os; print(os.nice(0))"]))
print(f"niceness of a plain process {plain}, of a worker of Ray {worker}")
ray.shutdown()
sys.exit(worker - plain != int(sys.argv[1]))
PYTHON
export PYTHONPATH="$folder" RAY_USAGE_STATS_ENABLED=0
unset RAY_worker_niceness
echo "Ray $("${PYTHON:-python3}" -c 'import ray; print(ray.__version__)')"
echo "One would guess: a worker that a program starts on its own machine has that program's priority."
echo "What happens: it gives way to every other program, unless RAY_worker_niceness says otherwise"
echo "where Ray is started."
expected=yes
"${PYTHON:-python3}" "$folder/shown.py" 15 2> "$folder/said" || expected=no
echo "with RAY_worker_niceness=0:"
RAY_worker_niceness=0 "${PYTHON:-python3}" "$folder/shown.py" 0 2> "$folder/said" || expected=no
[ "$expected" = yes ] && echo "As described." || { echo "This has changed."; cat "$folder/said"; exit 1; }
