"""Package, dependencies and extras of phijax."""

import pathlib
import re

from setuptools import find_packages, setup

HERE = pathlib.Path(__file__).parent
README = HERE / 'README.md'
VERSION = re.search(r"__version__ = '(.+)'", (HERE / 'phijax' / '__init__.py').read_text())

# Lower bounds only: an environment that has its own jax (Colab, a cluster image) keeps it.
REQUIREMENTS = [
    'absl-py>=2.1',
    'flax>=0.12.1',
    'gguf>=0.17',
    'grain>=0.2.15',
    'jax>=0.10',
    'jaxtyping>=0.3',
    'jinja2>=3.1',
    'matplotlib>=3.9',
    'ml-collections>=1.0',
    'numpy>=2.0',
    'openai[aiohttp]>=3.0',
    'optax>=0.2.6',
    'orbax-checkpoint>=0.11.33',
    'pyarrow>=18.0',
    'rapidfuzz>=3.9',
    'rich>=13.0',
    'safetensors>=0.5',
    'scikit-learn>=1.6',
    'sentencepiece>=0.2',
    'tensorboardX>=2.6',
    'tokenizers>=0.21',
    'xxhash>=3.4',
]

EXTRAS = {
    'test': [
        'beartype>=0.20',
        'hypothesis>=6.100',
        'lm-eval>=0.4.13',
        'psutil>=5.9',
        'pytest>=8.2',
        'pytest-timeout>=2.3',
        'pytest-xdist>=3.6',
    ],
    # The models in lm-evaluation-harness, and the words of the benchmarks checked against it.
    'eval': ['lm-eval>=0.4.9'],
    'lint': ['mypy>=1.15', 'ruff>=0.9'],
    # Gated and streamed data sets, and parity with the reference implementation.
    'hf': ['datasets>=4.0', 'huggingface_hub>=1.0', 'torch>=2.6', 'transformers>=5.0'],
    # libtpu also compiles for TPUs that are absent (`phijax.train --plan=v5e:2x4`).
    'tpu': ['jax[tpu]>=0.10'],
    'cuda12': ['jax[cuda12]>=0.10'],
    'cuda13': ['jax[cuda13]>=0.10'],
    'ray': ['ray>=2.40'],
    'wandb': ['wandb>=0.19'],
}

setup(
    name='phijax',
    version=VERSION.group(1),
    description="Microsoft's phi series in JAX: data, training, upscaling, evaluation",
    long_description=README.read_text(encoding='utf-8') if README.exists() else '',
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    license_files=['LICENSE'],
    python_requires='>=3.11',
    packages=find_packages(include=['phijax*']),
    package_data={
        'phijax.data.synthesis': ['levels/*.txt', 'taxonomies/*.txt', 'prompts/*/*.jinja'],
        'phijax.interop': ['published/*.json'],
    },
    install_requires=REQUIREMENTS,
    extras_require=EXTRAS,
    classifiers=[
        'Development Status :: 4 - Beta',
        'Intended Audience :: Science/Research',
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
    ],
)
