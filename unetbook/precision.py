"""Training in bfloat16 where the processor computes in it; what is judged and kept is float32."""

import contextlib
from pathlib import Path

import keras

BFLOAT16 = {"avx512_bf16", "amx_bf16", "bf16"}  # flags of x86 and Arm processors


def usable(policy: str) -> str:
    """The policy itself, or ``"float32"`` for ``"mixed_bfloat16"`` on a processor that would only imitate it."""
    return "float32" if policy == "mixed_bfloat16" and not _has_bfloat16() else policy


@contextlib.contextmanager
def policy(name: str):
    """Layers built in this block compute by the Keras policy of this name; the one before is put back afterwards."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def in_float32(build, model) -> keras.Model:
    """The network itself where it computes in float32, or else its weights, float32 all along, in one that does.

    build: makes the same network anew.
    """
    if model.compute_dtype == "float32" and all(layer.compute_dtype == "float32" for layer in model.layers):
        return model
    plain = build()
    plain.set_weights(model.get_weights())
    return plain


def _has_bfloat16():
    """GPUs of the last years have it; of processors, those that say so."""
    if any(device.startswith("gpu") for device in keras.distribution.list_devices()):
        return True
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not on Linux
        return False
    return any(BFLOAT16 & set(line.split()) for line in lines if line.startswith(("flags", "Features")))
