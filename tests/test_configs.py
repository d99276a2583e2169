"""Every file of configs/: it loads, says what was published, and its small variant trains."""

import json
import math
import pathlib
import runpy
from typing import Any

import jax
import ml_collections
import pytest

from phijax import command, models
from phijax.data import tokenize
from phijax.longrope import baselines
from phijax.longrope import plan as longrope
from phijax.models import arithmetic
from phijax.train import loop, recipe, step
from phijax.upscale import plan

ROOT = pathlib.Path(__file__).resolve().parents[1]
FOLDER = ROOT / 'configs'
FILES = sorted(path.relative_to(FOLDER).with_suffix('').as_posix() for path in FOLDER.rglob('*.py'))
RECIPES = [name for name in FILES if '/' not in name]
DATA = [name for name in FILES if name.startswith('tokenize/')]
GROWTHS = {
    'upscale/phi1_small_to_phi1': ('phi1_small', 'phi1'),
    'upscale/phi1_5_to_phi2': ('phi1_5', 'phi2'),
}

# Source: facts of arXiv:2306.11644, arXiv:2309.05463 and the config.json of microsoft/phi-2.
PARAMETERS = {
    'phi1_small': 356_794_368,
    'phi1': 1_418_270_720,
    'phi1_finetune': 1_418_270_720,
    'phi1_5': 1_418_270_720,
    'phi1_5_web': 1_418_270_720,
    'phi1_5_web_only': 1_418_270_720,
    'phi2': 2_779_683_840,
}
# All that a small variant may change: sizes, how long it is, and where its tokens come from.
SIZES = {
    'num_steps',
    'batch_size',
    'loss_chunk',
    'init_from',
    'evaluate_every',
    'model.vocab_size',
    'model.embed_dim',
    'model.num_layers',
    'model.num_heads',
    'model.num_kv_heads',
    'model.head_dim',
    'model.mlp_dim',
    'model.rotary_dim',
    'model.max_length',
    'data.directory',
    'data.prepare',
    'data.length',
    'optimizer.warmup_steps',
    'checkpoints.every',
    'checkpoints.keep_every',
    'checkpoints.select',
}
PHI1 = {
    'num_steps': 36_000,
    'batch_size': 1024,
    'data.length': 2048,
    'data.attention': 'packed',
    'data.weights': {},
    'init_from': '',
    'optimizer.schedule': 'linear',
    'optimizer.peak_rate': 1e-3,
    'optimizer.final_rate': 0.0,
    'optimizer.warmup_steps': 750,
    'optimizer.weight_decay': 0.1,
    'model.attention_dropout': 0.1,
    'model.residual_dropout': 0.1,
    'model.embed_dropout': 0.0,
    'model.dtype': 'float16',
    'checkpoints.every': 1000,
    'checkpoints.select': '24000',
}
PHI1_5 = {
    'num_steps': 35_762,  # 150B tokens
    'batch_size': 2048,
    'data.length': 2048,
    'data.attention': 'packed',
    'data.weights': {'textbooks': 0.8, 'code': 0.2},
    'init_from': '',
    'optimizer.schedule': 'constant',
    'optimizer.peak_rate': 2e-4,
    'optimizer.warmup_steps': 0,
    'optimizer.weight_decay': 0.1,
    'optimizer.b1': 0.9,
    'optimizer.b2': 0.98,
    'optimizer.eps': 1e-7,
    'model.attention_dropout': 0.0,
    'model.residual_dropout': 0.0,
    'model.dtype': 'float16',
}
PUBLISHED: dict[str, dict[str, Any]] = {
    'phi1': PHI1,
    'phi1_small': PHI1,
    'phi1_finetune': PHI1
    | {
        'num_steps': 6000,
        'batch_size': 256,
        'init_from': 'runs/phi1',
        'optimizer.peak_rate': 1e-4,
        'optimizer.warmup_steps': 50,
        'optimizer.weight_decay': 0.01,
        'checkpoints.keep': 6,
        'checkpoints.select': 'best',
        'evaluate_every': 1000,
    },
    'phi1_5': PHI1_5,
    'phi1_5_web': PHI1_5
    | {'num_steps': 71_525, 'data.weights': {'web': 0.4, 'code': 0.2, 'textbooks': 0.4}},
    'phi1_5_web_only': PHI1_5 | {'num_steps': 71_525, 'data.weights': {'web': 0.8, 'code': 0.2}},
    'phi2': {
        'num_steps': 333_786,  # 1.4T tokens
        'data.length': 2048,
        'model.residual_dropout': 0.1,
        'model.attention_dropout': 0.0,
    },
}


def load(name: str, variant: str = '') -> ml_collections.ConfigDict:
    """The config as a command has it after its flags are read."""
    get_config = runpy.run_path(str(FOLDER / f'{name}.py'))['get_config']
    return get_config(variant) if variant else get_config()


def make(name: str, variant: str = 'full', **changes: Any) -> recipe.Recipe:
    """The checked recipe; a change is `num_steps=3` or `**{'data.directory': 'd'}`."""
    config = load(name, variant)
    config.update_from_flattened_dict(changes)
    return recipe.from_dict(command.plain(config))


def flat(run: recipe.Recipe) -> dict[str, Any]:
    """The recipe's fields by dotted name."""
    groups = recipe.to_dict(run)
    return {
        f'{group}.{key}' if key else group: value
        for group, fields in groups.items()
        for key, value in (fields.items() if isinstance(fields, dict) else [('', fields)])
    }


@pytest.fixture(scope='module')
def tokens(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Tokens of every source that a small variant names, made as those variants say."""
    prepare: dict[str, Any] = {}
    for name in RECIPES:
        own = command.plain(load(name, 'smoke'))['data']['prepare']
        prepare = own | prepare | {'sources': own['sources'] | prepare.get('sources', {})}
    directory = tmp_path_factory.mktemp('data')
    tokenize.run(tokenize.from_dict(prepare | {'vocab_size': 1024}), directory)
    return directory


def test_every_recipe_is_held_by_these_tables() -> None:
    assert set(RECIPES) == set(PARAMETERS) | {'quickstart'}
    assert set(PUBLISHED) == set(PARAMETERS)


@pytest.mark.parametrize('name', RECIPES)
def test_full_recipe_is_built(name: str) -> None:
    run = make(name)
    assert run.name == name
    state = jax.eval_shape(lambda: step.abstract_state(run))
    count = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(state.params))
    moments = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(state.opt_state))
    assert count == PARAMETERS.get(name, arithmetic.count_parameters(run.model))
    assert moments - 2 * count == len([x for x in jax.tree.leaves(state.opt_state) if not x.shape])
    if name in PARAMETERS:
        published = models.config('phi1' if name == 'phi1_finetune' else name.partition('_web')[0])
        assert run.model.sizes == published.sizes
        assert run.num_microbatches((1, 8, 1)) > 1


@pytest.mark.parametrize('name', PUBLISHED)
def test_full_recipe_is_as_published(name: str) -> None:
    found = flat(make(name))
    assert {key: found[key] for key in PUBLISHED[name]} == PUBLISHED[name]


@pytest.mark.parametrize('name', RECIPES)
def test_small_variant_differs_in_sizes_only(name: str) -> None:
    full, small = flat(make(name)), flat(make(name, 'smoke'))
    changed = {key for key in full | small if full.get(key) != small.get(key)}
    assert changed <= SIZES
    assert 'num_steps' in changed
    assert small['init_from'] == small['data.directory'] == ''
    assert all(source['kind'] == 'stdlib' for source in small['data.prepare']['sources'].values())


def test_derived_values_follow_an_override() -> None:
    phi1 = make('phi1', num_steps=72_000)
    assert phi1.optimizer.warmup_steps == 1500
    assert phi1.checkpoints.select == '48000'
    finetune = make('phi1_finetune', num_steps=12_000)
    assert finetune.optimizer.warmup_steps == 100
    assert finetune.checkpoints.every == finetune.evaluate_every == 2000


@pytest.mark.parametrize('name', PARAMETERS)
def test_full_recipe_says_how_its_data_are_made(name: str) -> None:
    file, _, variant = make(name).data.made_by.partition(':')
    assert file.removeprefix('configs/').removesuffix('.py') in DATA
    config = load(file.removeprefix('configs/').removesuffix('.py'), variant)
    sources = tokenize.from_dict(command.plain(config)).sources
    weights = make(name).data.weights
    assert not weights or set(weights) == set(sources)


@pytest.mark.parametrize('name', DATA)
def test_data_config_is_taken(name: str) -> None:
    assert tokenize.from_dict(command.plain(load(name))).sources


def test_every_growth_is_held_by_the_table() -> None:
    assert set(GROWTHS) == {name for name in FILES if name.startswith('upscale/')}


@pytest.mark.parametrize('variant', ['full', 'smoke'])
@pytest.mark.parametrize('name', GROWTHS)
def test_growth_joins_two_recipes(name: str, variant: str) -> None:
    """The shapes of one recipe, grown, are those of the other: `init_from` takes them."""
    growth = plan.from_dict(command.plain(load(name, variant)))
    source, target = (make(recipe, variant).model for recipe in GROWTHS[name])
    assert growth.model == target
    plan.check(growth, source)
    small, large = (
        jax.eval_shape(lambda: models.init(config, jax.random.key(0)))  # noqa: B023
        for config in (source, target)
    )
    grown = jax.eval_shape(lambda params: plan.grow(growth, source, params), small)
    shapes = lambda tree: jax.tree.map(lambda x: (x.shape, x.dtype), tree)  # noqa: E731
    assert shapes(grown) == shapes(large)


@pytest.mark.parametrize('variant', ['full', 'smoke'])
def test_search_of_factors_is_taken(variant: str) -> None:
    search = longrope.from_dict(command.plain(load('longrope/quickstart', variant)))
    longrope.check(search, make('quickstart', variant).model)
    # Source: arXiv:2402.13753, sec. 3.2.
    settings = search.search
    assert (settings.probability, settings.ceiling) == (0.3, 1.25)
    assert settings.mutations == settings.crossovers
    assert settings.parents * 2 == settings.population


def test_finetuning_is_of_the_quickstart_model_with_linear_factors() -> None:
    short, long = make('quickstart').model, make('longrope/finetune')
    stretch = long.model.max_length // short.max_length
    found = baselines.linear(short, stretch)
    assert long.model == longrope.extended(short, found, long.data.length)
    assert long.data.length == make_search().target_length
    small = make('longrope/finetune', 'smoke')
    assert small.model.max_length == small.data.length == stretch * small.model.original_length
    assert small.init_from == small.data.directory == ''
    changed = {key for key, value in flat(small).items() if flat(long).get(key) != value}
    assert changed <= SIZES | {'model.original_length'}
    assert small.model.long_factors == long.model.long_factors


def make_search() -> longrope.Plan:
    """The search whose model the fine-tuning starts from."""
    return longrope.from_dict(command.plain(load('longrope/quickstart')))


@pytest.mark.parametrize('name', FILES)
def test_docstring_is_the_command_and_the_source(name: str) -> None:
    text = runpy.run_path(str(FOLDER / f'{name}.py'))['__doc__']
    assert f'--config=configs/{name}.py' in text
    assert '\nExpected: ' in text
    assert '\nSource: ' in text


@pytest.mark.parametrize('name', FILES)
def test_unknown_variant_is_refused(name: str) -> None:
    with pytest.raises((KeyError, TypeError), match=r'nonesuch|positional'):
        load(name, 'nonesuch')


@pytest.mark.parametrize('name', [*RECIPES, 'longrope/finetune'])
def test_small_variant_trains(name: str, tokens: pathlib.Path, tmp_path: pathlib.Path) -> None:
    shorter = {'num_steps': 3, 'prompts': (), 'data.directory': str(tokens), 'data.prepare': {}}
    shorter |= {'checkpoints.every': 1, 'checkpoints.keep_every': 1, 'evaluate_every': 1}
    shorter |= {'evaluate_rows': 8}
    run = make(name, 'smoke', **shorter)
    assert loop.train(run, tmp_path) == 0
    lines = [json.loads(line) for line in (tmp_path / 'metrics.jsonl').read_text().splitlines()]
    losses = [line['loss'] for line in lines if line['kind'] == 'train']
    assert len(losses) == 3
    assert losses[0] == pytest.approx(math.log(run.model.vocab_size), rel=0.02)
    assert all(math.isfinite(loss) for loss in losses)
    selected = json.loads((tmp_path / 'selected.json').read_text())['step']
    assert (tmp_path / 'checkpoints' / f'{selected:08}' / 'manifest.json').exists()
