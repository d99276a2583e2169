"""Peaks by the names that devices give themselves."""

import pytest

from phijax.train.metrics import peak_flops


@pytest.mark.parametrize(
    ('device_kind', 'dtype', 'expected'),
    [
        ('NVIDIA A100-SXM4-40GB', 'bfloat16', 312e12),
        ('NVIDIA A100-SXM4-80GB', 'float32', 156e12),
        ('NVIDIA A100 80GB PCIe', 'float16', 312e12),
        ('NVIDIA H100 80GB HBM3', 'bfloat16', 989e12),
        ('NVIDIA H100 PCIe', 'bfloat16', 756e12),
        ('NVIDIA H100 NVL', 'bfloat16', 835e12),
        ('NVIDIA H200', 'bfloat16', 989e12),
        ('NVIDIA L4', 'bfloat16', 121e12),
        ('NVIDIA L40S', 'bfloat16', 362e12),
        ('Tesla T4', 'float16', 65e12),
        ('Tesla T4', 'bfloat16', None),
        ('Tesla V100-SXM2-16GB', 'float16', 125e12),
        ('TPU v3', 'bfloat16', 61.5e12),
        ('TPU v4', 'bfloat16', 275e12),
        ('TPU v4 lite', 'bfloat16', 138e12),
        ('TPU v5 lite', 'bfloat16', 197e12),
        ('TPU v5e', 'float32', 197e12),
        ('TPU v5', 'bfloat16', 459e12),
        ('TPU v5p', 'bfloat16', 459e12),
        ('TPU v6 lite', 'bfloat16', 918e12),
        ('TPU7x', 'bfloat16', 1153.5e12),
    ],
)
def test_known_devices(device_kind, dtype, expected):
    assert peak_flops(device_kind, dtype) == expected


@pytest.mark.parametrize(
    'device_kind',
    ['cpu', '', 'NVIDIA A10', 'NVIDIA L40', 'NVIDIA H1000', 'NVIDIA H100 80GB HBM3 MIG 1g.10gb'],
)
def test_no_guess_for_an_unknown_device(device_kind):
    assert peak_flops(device_kind, 'bfloat16') is None


def test_unknown_dtype_is_named():
    with pytest.raises(ValueError, match=r"'int8'.*bfloat16, float16, float32"):
        peak_flops('cpu', 'int8')
