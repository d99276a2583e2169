"""The most operations a second of known devices, the denominator of MFU."""

from collections.abc import Mapping

_DTYPES = ('bfloat16', 'float16', 'float32')
_PEAKS: Mapping[str, tuple[float | None, float | None, float | None]] = {
    'NVIDIA A100': (312e12, 312e12, 156e12),
    'NVIDIA A10G': (70e12, 70e12, 35e12),
    'NVIDIA L4': (121e12, 121e12, 60e12),
    'NVIDIA L40S': (362e12, 362e12, 183e12),
    'NVIDIA H100': (989e12, 989e12, 494e12),
    'NVIDIA H100 NVL': (835e12, 835e12, 417e12),
    'NVIDIA H100 PCIe': (756e12, 756e12, 378e12),
    'NVIDIA H200': (989e12, 989e12, 494e12),
    'NVIDIA H200 NVL': (835e12, 835e12, 417e12),
    'NVIDIA GH200': (989e12, 989e12, 494e12),
    'NVIDIA B200': (2250e12, 2250e12, 1125e12),
    'Tesla T4': (None, 65e12, 8.1e12),
    'Tesla V100-PCIE': (None, 112e12, 14e12),
    'Tesla V100-SXM2': (None, 125e12, 15.7e12),
    'TPU v2': (22.5e12,) * 3,
    'TPU v3': (61.5e12,) * 3,
    'TPU v4': (275e12,) * 3,
    'TPU v4 lite': (138e12,) * 3,
    'TPU v5 lite': (197e12,) * 3,
    'TPU v5e': (197e12,) * 3,
    'TPU v5': (459e12,) * 3,
    'TPU v5p': (459e12,) * 3,
    'TPU v6 lite': (918e12,) * 3,
    'TPU v6e': (918e12,) * 3,
    'TPU7x': (1153.5e12,) * 3,
}


def peak_flops(device_kind: str, dtype: str) -> float | None:
    """The most operations a second of one JAX device, or None where it is not known.

    Dense products, without sparsity. float32 counts as JAX runs it by default: TF32 on NVIDIA's
    Ampere and later, bfloat16 passes on TPU. A JAX device is one core of a TPU v2, v3 or 7x.

    Args:
        device_kind: as `jax.Device.device_kind` has it, such as 'NVIDIA H100 80GB HBM3'.
        dtype: the compute dtype: 'bfloat16', 'float16' or 'float32'.

    Raises:
        ValueError: another dtype.

    Source: NVIDIA's data sheets of the A100, H100, H200, L4, L40S, T4, V100 and DGX B200 (halved
    where they count sparsity); AWS's page of the G5 instances (A10G); Google Cloud's pages of
    each TPU version.
    """
    if dtype not in _DTYPES:
        raise ValueError(f'peak_flops: dtype is {dtype!r}; it can be one of {", ".join(_DTYPES)}')
    if ' MIG ' in device_kind:
        return None
    names = [n for n in _PEAKS if device_kind == n or device_kind.startswith((n + ' ', n + '-'))]
    return _PEAKS[max(names, key=len)][_DTYPES.index(dtype)] if names else None
