"""TFLite files of timm's networks, for LiteRT.js in `cargo xtask bench web`.

    python tests/web/tflite.py FOLDER NAME...

writes NAME.tflite (float32) and NAME_int8.tflite (int8 weights and activations, floats in and out, ranges from random
pictures) with random weights, at the size of pictures that tests/golden/vision has: what is compared is time. Needs timm,
litert-torch and ai-edge-quantizer.
"""

import json
import sys
from pathlib import Path

import litert_torch
import numpy as np
import timm
import torch
from ai_edge_quantizer import qtyping, quantizer, recipe

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "vision"


def main(folder, *names):
    for name in names:
        shape = json.loads((GOLDEN / f"{name}.json").read_text())["input_shape"]
        torch.manual_seed(0)
        network = timm.create_model(name, pretrained=False).eval()
        # Channels last, as the networks of TFLite have them.
        network = litert_torch.to_channel_last_io(network, args=[0])
        sample = torch.randn(shape).permute(0, 2, 3, 1).contiguous()
        path = Path(folder) / f"{name}.tflite"
        litert_torch.convert(network, (sample,)).export(str(path))
        quantize = quantizer.Quantizer(str(path), recipe.static_wi8_ai8())
        # LiteRT.js takes no int8 tensors: inputs and outputs stay floats.
        for end in (qtyping.TFLOperationName.INPUT, qtyping.TFLOperationName.OUTPUT):
            quantize.update_quantization_recipe(".*", end, algorithm_key="no_quantize")
        samples = [{"args_0": np.random.default_rng(i).normal(size=sample.shape).astype(np.float32)} for i in range(4)]
        ranges = quantize.calibrate({"serving_default": samples})
        quantize.quantize(ranges).export_model(str(path.with_name(f"{name}_int8.tflite")), overwrite=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
