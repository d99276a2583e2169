"""Every file of configs/: it loads, says what was published, and its small variant trains."""

import json
import math
import pathlib
import re
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
    'phi3_mini': 3_821_079_552,
    'phi3_mini_sft': 3_821_079_552,
    'phi3_mini_dpo': 3_821_079_552,
    'phi3_small': 7_392_272_384,
    'phi3_medium': 13_960_238_080,
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
    'model.window',
    'model.block',
    'model.local_blocks',
    'model.stride',
    'model.dummy_tokens',
    'data.directory',
    'data.prepare',
    'data.length',
    'optimizer.warmup_steps',
    'checkpoints.every',
    'checkpoints.keep_every',
    'checkpoints.select',
}
# Post-training starts from a trained model, and its small variant from fresh parameters.
POST_TRAINING = {'phi3_mini_sft': 'chat', 'phi3_mini_dpo': 'preference'}
PHI1 = {
    'num_steps': 36_000,
    'batch_size': 1024,
    'data.length': 2048,
    'data.attention': 'packed',
    'data.weights': {'code': 6.0, 'textbooks': 1.0},
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
PHI3 = {
    'data.length': 4096,
    'data.attention': 'packed',
    'model.window': 2047,
    'model.dtype': 'bfloat16',
    'model.attention_dropout': 0.0,
}
PUBLISHED: dict[str, dict[str, Any]] = {
    'phi1': PHI1,
    'phi1_small': PHI1,
    'phi1_finetune': PHI1
    | {
        'data.weights': {},
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
    'phi3_mini': PHI3 | {'num_steps': 393_390},  # half of 3.3T tokens
    'phi3_mini_sft': PHI3
    | {
        'objective.kind': 'chat',
        'data.attention': 'document',
        'init_from': 'runs/phi3_mini',
    },
    'phi3_mini_dpo': PHI3
    | {
        'objective.kind': 'preference',
        'objective.beta': 0.1,
        'batch_size': 64,
        'optimizer.peak_rate': 1e-6,
        'optimizer.warmup_steps': 150,
        'data.attention': 'document',
        'init_from': 'runs/phi3_mini_sft',
    },
    'phi3_medium': PHI3 | {'num_steps': 572_204},  # half of 4.8T tokens
    'phi3_small': PHI3
    | {'num_steps': 572_204, 'data.length': 8192, 'model.window': None, 'model.stride': 8},
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
def tokens(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pathlib.Path]:
    """Tokens of every source that a small variant names, made as those variants say.

    By the kind of the objective: each sees all sources of its kind.
    """
    prepare: dict[str, dict[str, Any]] = {}
    for name in RECIPES:
        own = command.plain(load(name, 'smoke'))['data']['prepare']
        seen = prepare.get(POST_TRAINING.get(name, 'pretraining'), {})
        own = own | seen | {'sources': own['sources'] | seen.get('sources', {})}
        prepare[POST_TRAINING.get(name, 'pretraining')] = own
    directory = tmp_path_factory.mktemp('data')
    for kind, own in prepare.items():
        tokenize.run(tokenize.from_dict(own | {'vocab_size': 1024}), directory / kind)
    return {kind: directory / kind for kind in prepare}


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
        published = models.config(re.sub('_(finetune|web|web_only|sft|dpo)$', '', name))
        assert run.model.sizes == published.sizes
        assert run.num_microbatches((1, 8, 1)) > 1


@pytest.mark.parametrize('name', PUBLISHED)
def test_full_recipe_is_as_published(name: str) -> None:
    found = flat(make(name))
    assert {key: found.get(key) for key in PUBLISHED[name]} == PUBLISHED[name]


@pytest.mark.parametrize('name', ['phi3_mini', 'phi3_small', 'phi3_medium'])
def test_phases_follow_each_other(name: str) -> None:
    first, second = make(name), make(name, 'phase2')
    assert second.init_from == f'runs/{name}_phase1'
    assert (second.model, second.num_steps) == (first.model, first.num_steps)
    assert second.data.directory.replace('phase2', 'phase1') == first.data.directory
    assert (first.optimizer.final_rate, second.optimizer.final_rate) == (3e-4, 0.0)
    if name != 'phi3_small':
        long = make(name, 'long')
        assert long.model == models.config(f'{name}_128k', dtype='bfloat16', remat='full')
        assert (long.init_from, long.data.length) == (f'runs/{name}', 16384)


@pytest.mark.parametrize('name', RECIPES)
def test_small_variant_differs_in_sizes_only(name: str) -> None:
    full, small = flat(make(name)), flat(make(name, 'smoke'))
    changed = {key for key in full | small if full.get(key) != small.get(key)}
    assert changed <= SIZES | ({'optimizer.peak_rate'} if name in POST_TRAINING else set())
    assert 'num_steps' in changed
    assert small['init_from'] == small['data.directory'] == ''
    kinds = {source['kind'] for source in small['data.prepare']['sources'].values()}
    assert kinds == {
        {'chat': 'stdlib_chat', 'preference': 'stdlib_preference'}.get(
            POST_TRAINING.get(name, ''), 'stdlib'
        )
    }


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


@pytest.mark.parametrize('name', POST_TRAINING)
def test_post_training_has_data_of_its_form(name: str) -> None:
    run = make(name)
    for variant in ('', 'smoke_'):
        kind = '' if run.objective.form == 'chat' else 'preferences'
        config = load('tokenize/chats', (variant + kind).rstrip('_'))
        sources = tokenize.from_dict(command.plain(config)).sources.values()
        assert {source.form for source in sources} == {run.objective.form} == {POST_TRAINING[name]}


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
def test_small_variant_trains(
    name: str, tokens: dict[str, pathlib.Path], tmp_path: pathlib.Path
) -> None:
    kind = POST_TRAINING.get(name, 'pretraining')
    directory = str(tokens[kind])
    shorter = {'num_steps': 3, 'prompts': (), 'data.directory': directory, 'data.prepare': {}}
    shorter |= {'checkpoints.every': 1, 'checkpoints.keep_every': 1, 'evaluate_every': 1}
    shorter |= {'evaluate_rows': 8}
    run = make(name, 'smoke', **shorter)
    assert loop.train(run, tmp_path) == 0
    lines = [json.loads(line) for line in (tmp_path / 'metrics.jsonl').read_text().splitlines()]
    losses = [line['loss'] for line in lines if line['kind'] == 'train']
    assert len(losses) == 3
    choices = 2 if kind == 'preference' else run.model.vocab_size
    assert losses[0] == pytest.approx(math.log(choices), rel=0.02)
    assert all(math.isfinite(loss) for loss in losses)
    selected = json.loads((tmp_path / 'selected.json').read_text())['step']
    assert (tmp_path / 'checkpoints' / f'{selected:08}' / 'manifest.json').exists()
