"""Rules on imports: which part of phijax may see which, and which library has which door.

Each rule takes the tree and gives the lines that break it. The tables are the architecture; a new
part or library is entered here in the change that brings it.
"""

import ast
import fnmatch
import re
import sys
from collections.abc import Iterator

from tests.architecture.source import FOLDERS, Module, Tree, within

TOKENIZER = ('phijax.data.errors', 'phijax.data.tokenizer')

# What a part may import of phijax besides itself. The longest name that fits a module counts.
PARTS = {
    'phijax.assets': (),
    'phijax.command': (),
    'phijax.errors': (),
    'phijax.models': (),
    'phijax.report': (),
    'phijax.sandbox': (),
    'phijax.partitioning': ('phijax.models',),
    'phijax.checkpoint': ('phijax.models', 'phijax.partitioning'),
    'phijax.data': ('phijax.assets', 'phijax.report', 'phijax.sandbox'),
    'phijax.data.filtering.features': (
        'phijax.assets',
        'phijax.interop',
        'phijax.models',
        'phijax.partitioning',
    ),
    'phijax.data.filtering.forest': ('phijax.models',),
    'phijax.interop': (
        'phijax.assets',
        'phijax.checkpoint',
        *TOKENIZER,
        'phijax.models',
        'phijax.partitioning',
    ),
    'phijax.generate': (
        'phijax.checkpoint',
        'phijax.data.chat',
        *TOKENIZER,
        'phijax.interop',
        'phijax.models',
        'phijax.partitioning',
    ),
    'phijax.upscale': (
        'phijax.checkpoint',
        'phijax.interop',
        'phijax.models',
        'phijax.partitioning',
        'phijax.report',
    ),
    'phijax.upscale.depth': (),
    'phijax.upscale.width': (),
    'phijax.evaluate': (
        'phijax.assets',
        'phijax.checkpoint',
        'phijax.data',
        'phijax.generate',
        'phijax.interop',
        'phijax.models',
        'phijax.partitioning',
        'phijax.report',
        'phijax.sandbox',
    ),
    'phijax.serve': (
        'phijax.checkpoint',
        *TOKENIZER,
        'phijax.generate',
        'phijax.interop',
        'phijax.models',
        'phijax.partitioning',
    ),
    'phijax.train': (
        'phijax.assets',
        'phijax.checkpoint',
        'phijax.data',
        'phijax.evaluate',
        'phijax.generate',
        'phijax.interop',
        'phijax.models',
        'phijax.partitioning',
        'phijax.report',
    ),
    'phijax.longrope': (
        'phijax.checkpoint',
        'phijax.data',
        'phijax.evaluate',
        'phijax.generate',
        'phijax.interop',
        'phijax.models',
        'phijax.partitioning',
        'phijax.report',
        'phijax.train',
    ),
}
UNITS = frozenset(name for name in PARTS if name.count('.') == 1)

# Seen by every part but those that see nothing of phijax.
BASE = 'phijax.errors'
ALONE = frozenset({'phijax.models', 'phijax.sandbox'})

# Seen by every command besides the public faces: `phijax.UNIT`, without what is inside.
COMMON = TOKENIZER
# Seen by no command but its own: training stands at the top.
TOP = 'phijax.train'
CONFIGS_MAY_IMPORT = ('phijax.models',)

DEVICE = (
    'phijax.checkpoint',
    'phijax.data.filtering.features',
    'phijax.data.filtering.forest',
    'phijax.evaluate',
    'phijax.generate',
    'phijax.interop',
    'phijax.longrope',
    'phijax.models',
    'phijax.partitioning',
    'phijax.serve',
    'phijax.train',
    'phijax.upscale',
)

# Which modules a library may be imported in; `*` stands for any text.
DOORS = {
    'absl': ('phijax.*.__main__', 'phijax.command', 'configs'),
    'datasets': ('phijax.data.tokenize',),
    'flax': ('phijax.models',),
    'gguf': ('phijax.interop.gguf',),
    'grain': ('phijax.data.mixture',),
    'httpx2': ('phijax.data.client.wire',),
    'huggingface_hub': ('phijax.data.tokenizer', 'phijax.interop'),
    'jax': DEVICE,
    'jaxtyping': DEVICE,
    'jinja2': ('phijax.data.synthesis.prompts',),
    'lm_eval': ('phijax.evaluate.harness',),
    'matplotlib': ('phijax.report',),
    'ml_collections': ('phijax.*.__main__', 'phijax.command', 'configs'),
    'numpy': (*DEVICE, 'phijax.data', 'phijax.report'),
    'openai': ('phijax.data.client.wire',),
    'optax': ('phijax.train',),
    'orbax': ('phijax.checkpoint',),
    'pyarrow': ('phijax.data.attributes', 'phijax.data.document'),
    'rapidfuzz': ('phijax.data.filtering.decontaminate',),
    'ray': ('phijax.data.engines',),
    'rich': ('phijax.data.progress',),
    'safetensors': ('phijax.data.filtering.forest', 'phijax.interop'),
    'sentencepiece': ('phijax.data.tokenizer',),
    'sklearn': ('phijax.data.filtering.forest',),
    'tensorboardX': ('phijax.train.metrics',),
    'tokenizers': ('phijax.data.tokenizer',),
    'wandb': ('phijax.train.metrics',),
    'xxhash': ('phijax.data',),
}

UNSAFE = frozenset({'cloudpickle', 'dill', 'joblib', 'marshal', 'pickle', 'shelve'})

# flax builds parameters and does nothing else: jax's own transforms run them.
NNX_TRANSFORMS = re.compile(
    r'nnx\.(Metric|MultiMetric|Optimizer|cond|custom_vjp|fori_loop|grad|jit|pmap|remat|scan|'
    r'shard_map|switch|value_and_grad|vmap|while_loop)'
)


def parts(tree: Tree) -> Iterator[str]:
    """Imports of phijax that the table of parts does not allow."""
    for module in tree.within('phijax'):
        if module.is_main or module.name == 'phijax':
            continue
        part = max((p for p in PARTS if within(module.name, p)), key=len, default=None)
        if part is None:
            yield f'{module.path}: part of phijax without a row in PARTS'
            continue
        allowed = [_unit(part), *PARTS[part]]
        allowed += [] if part in ALONE else [BASE]
        for line, target in _inner(tree, module):
            if not any(within(target, name) for name in allowed):
                yield f'{module.path}:{line}: {part} may not import {target}'


def commands(tree: Tree) -> Iterator[str]:
    """Imports of a `__main__` from inside another part, or from the part at the top."""
    for module in tree.within('phijax'):
        if module.is_main:
            own = _unit(module.name)
            for line, target in _inner(tree, module):
                face = target in UNITS - {TOP} or any(within(target, name) for name in COMMON)
                if not face and not within(target, own):
                    yield f'{module.path}:{line}: a command may not import {target}'


def configs(tree: Tree) -> Iterator[str]:
    """Imports of phijax in configs beyond the sizes of models."""
    for module in tree.within('configs'):
        for line, target in _inner(tree, module):
            if target not in CONFIGS_MAY_IMPORT:
                yield f'{module.path}:{line}: a config may not import {target}'


def doors(tree: Tree) -> Iterator[str]:
    """Libraries that are imported elsewhere than through their door, or have none."""
    own = frozenset(FOLDERS)
    for module in tree.within('phijax', 'configs'):
        for line, target in tree.imports(module):
            library = target.split('.')[0]
            if library in sys.stdlib_module_names or library in own:
                continue
            if library not in DOORS:
                yield f'{module.path}:{line}: {library} has no door in DOORS'
            elif not any(_fits(module.name, door) for door in DOORS[library]):
                yield f'{module.path}:{line}: {library} is imported outside its door'


def upward(tree: Tree) -> Iterator[str]:
    """Imports of tests, configs or experiments by the package."""
    for module in tree.within('phijax'):
        for line, target in tree.imports(module):
            if target.split('.')[0] in {'configs', 'experiments', 'tests'}:
                yield f'{module.path}:{line}: the package may not import {target}'


def unsafe(tree: Tree) -> Iterator[str]:
    """Pickle, its relatives, and numpy's way into it."""
    for module in tree.within('phijax', 'configs', 'experiments'):
        for line, target in tree.imports(module):
            if target.split('.')[0] in UNSAFE:
                yield f'{module.path}:{line}: {target} runs code from the files it reads'
        for node in ast.walk(module.syntax):
            if isinstance(node, ast.keyword) and node.arg == 'allow_pickle' and not _is_false(node):
                yield f'{module.path}:{node.lineno}: allow_pickle runs code from files'


def construction(tree: Tree) -> Iterator[str]:
    """Uses of flax for more than building parameters."""
    for module in tree.within('phijax'):
        for node in ast.walk(module.syntax):
            if isinstance(node, ast.Attribute) and NNX_TRANSFORMS.fullmatch(ast.unparse(node)):
                yield f'{module.path}:{node.lineno}: {ast.unparse(node)}: jax has its own'


def _inner(tree: Tree, module: Module) -> Iterator[tuple[int, str]]:
    """The imports of phijax by a module; `from phijax import x` is one of the unit x."""
    for node in ast.walk(module.syntax):
        if isinstance(node, ast.ImportFrom) and (node.module, node.level) == ('phijax', 0):
            for alias in node.names:
                if f'phijax.{alias.name}' in UNITS:
                    yield node.lineno, f'phijax.{alias.name}'
    for line, target in tree.imports(module):
        if within(target, 'phijax') and target != 'phijax':
            yield line, target


def _is_false(node: ast.keyword) -> bool:
    return isinstance(node.value, ast.Constant) and node.value.value is False


def _unit(name: str) -> str:
    return '.'.join(name.split('.')[:2])


def _fits(name: str, door: str) -> bool:
    return fnmatch.fnmatchcase(name, door) if '*' in door else within(name, door)


RULES = (parts, commands, configs, doors, upward, unsafe, construction)
