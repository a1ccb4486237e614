"""The ways to run a local model on a processor: speed against the default's, and how near their vectors are to its.

Backends whose packages are missing are left out: `pip install "sentence-transformers[onnx]"` or `[openvino]`.
"""

from __future__ import annotations

import shutil
import time
from contextlib import suppress

import numpy as np
import pytest

from embedbridge import Embedder
from embedbridge.errors import MissingExtraError
from embedbridge.providers._local_options import check_backend

from .test_local_bench import corpus

pytestmark = pytest.mark.benchmark

ROUNDS = 3
DEFAULT = "torch, fp32"


def with_openvino(folder):
    """Weights as OpenVINO wants them, as they are and in eight bits, in the model's folder."""
    import nncf
    import openvino
    from sentence_transformers import SentenceTransformer

    SentenceTransformer(str(folder), backend="openvino", device="cpu", local_files_only=True).save_pretrained(
        str(folder)
    )
    whole = openvino.Core().read_model(folder / "openvino" / "openvino_model.xml")
    openvino.save_model(nncf.compress_weights(whole), folder / "openvino" / "openvino_model_int8.xml")
    return {
        "openvino": {"backend": "openvino", "file_name": "openvino_model.xml"},
        "openvino, int8 weights": {"backend": "openvino", "file_name": "openvino_model_int8.xml"},
    }


def with_onnx(folder):
    """The same for ONNX Runtime, with int8 arithmetic."""
    from sentence_transformers import SentenceTransformer, export_dynamic_quantized_onnx_model

    model = SentenceTransformer(str(folder), backend="onnx", device="cpu", local_files_only=True)
    model.save_pretrained(str(folder))
    export_dynamic_quantized_onnx_model(model, "avx512_vnni", str(folder))
    return {
        "onnx, fp32": {"backend": "onnx", "file_name": "model.onnx"},
        "onnx, int8": {"backend": "onnx", "file_name": "model_qint8_avx512_vnni.onnx"},
    }


@pytest.mark.filterwarnings("ignore")  # of the exporters
def test_backends_on_one_thread(minilm_path, tmp_path, board):
    import torch

    torch.set_num_threads(1)
    folder = shutil.copytree(minilm_path, tmp_path / "all-MiniLM-L6-v2")
    ways = {DEFAULT: {}, "torch, bf16": {"dtype": "bfloat16"}}
    for backend, more in (("openvino", with_openvino), ("onnx", with_onnx)):
        with suppress(MissingExtraError):
            check_backend(backend)
            ways |= more(folder)
    texts = corpus()
    calls = {
        name: Embedder(f"local:{folder}", cache=False, provider_options={"device": "cpu", **options}).embed_documents
        for name, options in ways.items()
    }
    vectors = {name: call(texts) for name, call in calls.items()}
    times = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            begun = time.process_time()
            call(texts)
            times[name].append(time.process_time() - begun)
    each = {name: min(found) / len(texts) * 1000 for name, found in times.items()}
    board(f"{len(texts)} texts of mixed lengths, MiniLM by several backends, a text", "ms CPU", each)
    lengths = {name: np.linalg.norm(found, axis=1) for name, found in vectors.items()}
    cosines = {
        name: float(((found * vectors[DEFAULT]).sum(axis=1) / lengths[name] / lengths[DEFAULT]).min())
        for name, found in vectors.items()
    }
    board("the same, least cosine to the default's vectors in millionths", "of 1,000,000", _millionths(cosines))
    assert min(cosines.values()) > 0.97
    assert cosines["torch, bf16"] > 0.999


def _millionths(cosines):
    return {name: cosine * 1e6 for name, cosine in cosines.items()}
