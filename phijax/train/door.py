"""What a run needs before any device work: its data, its starting point, its workdir."""

import json
import pathlib
from typing import Any

from phijax import models
from phijax.data import packing
from phijax.errors import InputError
from phijax.train.recipe import Recipe, to_dict

SHAPE = (
    *('family', 'vocab_size', 'embed_dim', 'num_layers', 'num_heads', 'num_kv_heads'),
    *('head_dim', 'mlp_dim', 'rotary_dim'),
)


def data_directory(recipe: Recipe, workdir: pathlib.Path) -> pathlib.Path:
    """Where the run's tokens are."""
    return pathlib.Path(recipe.data.directory) if recipe.data.directory else workdir / 'data'


def check(recipe: Recipe, workdir: pathlib.Path) -> None:
    """Returns when the run can start.

    Raises:
        InputError: the data or the starting checkpoint is missing (the message has the commands
            that make it), or the data do not fit the model, or the workdir holds another run.
    """
    directory = data_directory(recipe, workdir)
    missing = []
    if (directory / 'manifest.json').exists():
        check_data(recipe, packing.manifest(directory))
        _check_tokenizer(directory / 'tokenizer')
    elif recipe.data.prepare:
        _check_prepare(recipe)
    else:
        missing.append(_data_missing(recipe, directory))
    if recipe.init_from and not pathlib.Path(recipe.init_from).exists():
        missing.append(_start_missing(recipe))
    if missing:
        raise InputError('\n'.join([*missing, _smoke(recipe)]))
    _check_workdir(recipe, workdir)


def check_data(recipe: Recipe, manifest: dict[str, Any]) -> None:
    """Returns when tokens and model fit.

    Raises:
        InputError: the model's vocabulary is smaller than the tokenizer's, or a source is unknown
            or has less than a row of tokens.
    """
    _check_vocabulary(recipe, manifest['tokenizer']['vocab_size'])
    sources = manifest['sources']
    unknown = sorted(set(recipe.data.weights) - set(sources))
    if unknown:
        raise InputError(
            f'data.weights names {", ".join(unknown)}; the data have {", ".join(sorted(sources))}'
        )
    for name in recipe.data.weights or sources:
        tokens = sources[name]['splits']['train']['tokens']
        if tokens <= recipe.data.length:
            raise InputError(
                f'the training split of {name} has {tokens} tokens, and data.length='
                f'{recipe.data.length} needs more than that: add documents, shorten the rows, or '
                'give weights to other sources in data.weights'
            )


def check_start(recipe: Recipe, config: models.Config) -> None:
    """Returns when the parameters of `init_from` fit this run's model.

    Raises:
        InputError: they have another shape.
    """
    pairs = {key: (getattr(config, key), getattr(recipe.model, key)) for key in SHAPE}
    differing = [f'{key} {old} -> {new}' for key, (old, new) in pairs.items() if old != new]
    if differing:
        raise InputError(
            f'init_from={recipe.init_from} has another shape than the model: '
            f'{", ".join(differing)}. `python -m phijax.upscale` grows a checkpoint.'
        )


def weights(recipe: Recipe, manifest: dict[str, Any]) -> dict[str, float]:
    """The share of each source: as the recipe says, else in proportion to its tokens."""
    if recipe.data.weights:
        return dict(recipe.data.weights)
    tokens = {
        name: source['splits']['train']['tokens'] for name, source in manifest['sources'].items()
    }
    # To 4 decimals, which keeps the schedule of the rows short.
    return {name: max(1e-4, round(t / sum(tokens.values()), 4)) for name, t in tokens.items()}


def write_config(recipe: Recipe, workdir: pathlib.Path) -> None:
    """Leaves the resolved config in the workdir, whole or not at all."""
    workdir.mkdir(parents=True, exist_ok=True)
    partial = workdir / 'config.json.partial'
    partial.write_text(json.dumps(to_dict(recipe), indent=1) + '\n')
    partial.replace(workdir / 'config.json')


def _check_prepare(recipe: Recipe) -> None:
    """The data that are still to be made, as far as their config says what they will be."""
    from phijax.data import tokenize

    config = tokenize.from_dict(recipe.data.prepare)
    if not config.tokenizer:
        _check_vocabulary(recipe, config.vocab_size)


def _check_tokenizer(directory: pathlib.Path) -> None:
    if not (directory / 'tokenizer.json').is_file():
        raise InputError(
            f'{directory} has no tokenizer.json, which the tokens were made with: bring it back '
            f'from a copy, or remove {directory.parent} and make it again'
        )


def _check_vocabulary(recipe: Recipe, vocab_size: int) -> None:
    if vocab_size > recipe.model.vocab_size:
        raise InputError(
            f'model.vocab_size is {recipe.model.vocab_size}, but the tokens go up to '
            f'{vocab_size - 1}: it must be at least {vocab_size}'
        )


def _check_workdir(recipe: Recipe, workdir: pathlib.Path) -> None:
    """A workdir with checkpoints goes on with the model and the data that it began with.

    The data may lie elsewhere now: the checkpoint knows their digest.
    """
    path = workdir / 'config.json'
    if not path.exists() or not any((workdir / 'checkpoints').glob('*/manifest.json')):
        return
    before, now = _read_config(path), json.loads(json.dumps(to_dict(recipe)))
    fixed = ('model', 'data', 'seed', 'batch_size')
    free = ('model.remat', 'model.unroll', 'model.attention', 'data.directory', 'data.made_by')
    changed = [
        f'{name}: {old} -> {new}'
        for name in fixed
        for name, old, new in differences(name, before.get(name), now[name])
        if name not in free
    ]
    if changed:
        raise InputError(
            f'{workdir} holds another run. Changed: {"; ".join(changed)}. '
            'Use another workdir, or the values it began with.'
        )


def _read_config(path: pathlib.Path) -> dict[str, Any]:
    try:
        fields = json.loads(path.read_text())
    except ValueError:  # not JSON, or not even text
        fields = None
    if not isinstance(fields, dict):
        raise InputError(
            f'{path} is damaged. The manifest.json of each checkpoint has the same config under '
            'metadata; if that is the one of this command, remove the file: it is written anew'
        )
    return fields


def differences(name: str, old: Any, new: Any) -> list[tuple[str, Any, Any]]:
    """The fields in which two values differ, each by its dotted name with both values."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = sorted(old.keys() | new.keys())
        pairs = (
            differences(f'{name}.{key}'.lstrip('.'), old.get(key), new.get(key)) for key in keys
        )
        return [difference for differences in pairs for difference in differences]
    return [] if old == new else [(name, old, new)]


def _data_missing(recipe: Recipe, directory: pathlib.Path) -> str:
    return (
        f'the data of {recipe.name} are not at {directory} (no manifest.json there). '
        'Make them with\n'
        f'  python -m phijax.data.tokenize --config={recipe.data.made_by} --workdir={directory}\n'
        'or name another directory: --config.data.directory=DIRECTORY'
    )


def _start_missing(recipe: Recipe) -> str:
    return (
        f'init_from={recipe.init_from} is not there. Make it with\n'
        f'  python -m phijax.train --config=configs/phi1.py --workdir={recipe.init_from}\n'
        'or give a workdir or a Hugging Face directory: --config.init_from=DIRECTORY'
    )


def _smoke(recipe: Recipe) -> str:
    return (
        'To see the recipe run at a small size, on the standard library:\n'
        f'  python -m phijax.train --config=configs/{recipe.name}.py:smoke '
        f'--workdir=runs/{recipe.name}_smoke'
    )
