"""Step-wise TFLite networks with variables, frame by frame on the reference kernels: micro_wakeword.json.

    python tests/golden/micro_wakeword.py --models <folder>    # needs ai-edge-litert, numpy

<folder> holds the .tflite files of the PyPI package `pymicro-wakeword` (its folder `models`; Apache-2.0). They are not
committed: the test reads them from $MOTE_CACHE/micro-wakeword and says so where they are absent.
"""

import argparse
import base64
import json
import zlib
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

import prng

HERE = Path(__file__).resolve().parent
STEPS = 100


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=Path, required=True)
    folder = parser.parse_args().models
    entries = [golden(path, 5000 + number) for number, path in enumerate(sorted(folder.glob("*.tflite")))]
    lines = ",\n".join(json.dumps(entry) for entry in entries)
    (HERE / "micro_wakeword.json").write_text(f"[\n{lines}\n]\n")


def golden(path, seed):
    model = path.read_bytes()
    network = Interpreter(model_content=model, experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
                          experimental_preserve_all_tensors=True)
    network.allocate_tensors()
    given, made = network.get_input_details()[0], network.get_output_details()[0]
    frames = frames_of(seed, STEPS, given["shape"])
    layers = [int(op["outputs"][0]) for op in network._get_ops_details()
              if op["op_name"] in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")]
    results, sums = [], dict.fromkeys(layers, 0)
    for frame in frames:
        network.set_tensor(given["index"], frame)
        network.invoke()
        results.append(network.get_tensor(made["index"]).copy())
        for layer in layers:
            sums[layer] = zlib.crc32(network.get_tensor(layer).tobytes(), sums[layer])
    results = np.stack(results).astype(made["dtype"])
    print(path.name, given["shape"], made["dtype"].__name__, results.min(), results.max(), len(np.unique(results)))
    return {
        "model": path.name,
        "model_crc32": zlib.crc32(model),
        "seed": seed,
        "steps": STEPS,
        "input_shape": [int(n) for n in given["shape"]],
        "output_scale": float(made["quantization"][0]),
        "output_type": made["dtype"].__name__,
        "outputs": base64.b64encode(results.tobytes()).decode(),
        "layers": [{"tensor": layer, "crc32": crc} for layer, crc in sums.items()],
    }


def frames_of(seed, steps, shape):
    """Codes that rise and fall slowly: noise alone leaves the networks at rest."""
    count = int(np.prod(shape))
    codes = prng.int8(seed, steps * count).reshape(steps, *shape).astype(np.int32)
    level = (np.arange(steps) * 7 % 200 - 100).reshape(steps, *([1] * len(shape)))
    return np.clip(codes // 4 + level, -128, 127).astype(np.int8)


if __name__ == "__main__":
    main()
