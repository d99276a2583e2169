"""One report on a checkpoint: overfitting.json, and overfitting.md for people."""

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from phijax import interop, report
from phijax.errors import InputError
from phijax.evaluate.overfitting.measuring import measure
from phijax.evaluate.overfitting.plan import Plan
from phijax.evaluate.overfitting.texts import Reader

log = logging.getLogger(__name__)

# Source: GSM1k, arXiv:2405.00332, final version, table of all models: accuracy on GSM8K less that
# on GSM1k, in points, and its Z score.
GSM1K = (
    ('phi-2', 6.3, 3.17),
    ('phi-1.5', 5.1, 2.81),
    ('Phi-3-medium-128k', 4.4, 3.10),
    ('Phi-3-mini-4k', 4.0, 2.39),
    ('Phi-3-medium-4k', 2.0, 1.52),
    ('Phi-3-mini-128k', 1.1, 0.65),
)
GSM1K_TEXT = (
    'GSM1k (arXiv:2405.00332) wrote new problems of the kind of GSM8K. Its final version finds '
    'drops of up to 8 points, and r² = 0.36 between the likelihood of GSM8K per character and the '
    'drop; the first version said up to 13 points and named Phi among the worst, which was '
    'revised. Its new problems are not public: the twins here are renumbered items, which is '
    'another measure, and the figures are not to be compared one to one.'
)
LIMITS = (
    'A model can gain from a rewording or a translation of an item, which neither n-grams nor the '
    'order test see.',
    'The order test finds a set only where it was seen in its published order.',
    'Membership scores say something only where the blind baselines, which ask no model, stay near '
    '0.5: else the two sets differ in kind.',
    'A twin of GSM8K has other numbers, so its text is not equally natural; only items that admit '
    'a twin are compared.',
    'A twin of HumanEval has other names; a model may be used to the old ones for good reasons.',
    'Of many tests some are below 0.05 by chance; the column after Holm counts that.',
    'Canaries say what is memorised at so many copies of so short a text, not of every text.',
)


def run(plan: Plan, checkpoint: str | os.PathLike[str], workdir: str | os.PathLike[str]) -> str:
    """Measures the model at `checkpoint`; returns the page, which `workdir` then has.

    Raises:
        FileNotFoundError: there is no model.
        InputError: the model, or what the plan names, cannot be used.
        AssetError: a set cannot be had.
    """
    config, params, tokenizer = interop.open(checkpoint)
    if tokenizer is None:
        raise InputError(f'{checkpoint} has no tokenizer, so it cannot be asked')
    reader = Reader(config, jax.device_put(params), tokenizer, plan.rows_at_once)
    tokens = _tokens(plan, Path(checkpoint))
    found = {
        'checkpoint': str(checkpoint),
        'tokens': str(tokens) if tokens else None,
        'environment': report.environment() | {'device': jax.devices()[0].device_kind},
        **measure(plan, reader, tokens),
    }
    into = Path(workdir)
    into.mkdir(parents=True, exist_ok=True)
    (into / 'overfitting.json').write_text(json.dumps(found, indent=1) + '\n', 'utf-8')
    text = page(found)
    (into / 'overfitting.md').write_text(text, 'utf-8')
    return text


def page(found: Mapping[str, Any]) -> str:
    """The figures that `measure` gives as a page."""
    sections = [('', f'Of `{found["checkpoint"]}`.')]
    for name, own in found['sets'].items():
        sections += [(f'{name}: {title}', text) for title, text in _set_sections(own)]
    if found['canaries']:
        sections.append(('Canaries', report.table(found['canaries'])))
    published = [dict(zip(('model', 'drop in points', 'Z'), row, strict=True)) for row in GSM1K]
    sections += [
        ('All tests', report.table(found['tests'])),
        ('What others found', f'{GSM1K_TEXT}\n\n{report.table(published)}'),
        ('What this does not show', '\n'.join(f'- {limit}' for limit in LIMITS)),
        ('Environment', report.pairs(found['environment'])),
    ]
    return report.page('Overfitting', sections)


def _set_sections(own: Mapping[str, Any]) -> list[tuple[str, str]]:
    order = own['order']
    sections = [
        (
            'published order',
            f'p = {order["p_value"]:.3g} that the model prefers the order of the {own["items"]} '
            f'items by chance; {order["preference"]:+.2f} nats in the mean of {order["shards"]} '
            f'shards, each against {order["permutations"]} shuffled ones.',
        )
    ]
    if 'twins' in own:
        sections += _twin_sections(own)
    if 'overlap' in own:
        sections.append(('n-grams in the training tokens', _overlap_text(own)))
    return sections


def _twin_sections(own: Mapping[str, Any]) -> list[tuple[str, str]]:
    matched = [{'measure': name, 'value': value} for name, value in own['matching'].items()]
    each = own['per_character']
    text = (
        f'{own["twins"]} items have a twin. Log-likelihood per character: {each["item"]:.4f} of '
        f'items, {each["twin"]:.4f} of twins, {_signed(each["gap"])} pair by pair.'
    )
    if 'accuracy' in own:
        accuracy = own['accuracy']
        text += (
            f'\n\nAccuracy: {_plain(accuracy["item"])} on items, {_plain(accuracy["twin"])} on '
            f'twins, a gap of {_signed(accuracy["gap"])}.'
        )
    else:
        text += '\n\nThere are no answers to compare accuracies of.'
    rows = [
        {
            'score': name,
            'asks the model': 'no' if d['blind'] else 'yes',
            'AUROC': _plain(d['auroc']),
        }
        for name, d in own['membership'].items()
    ]
    return [
        ('items against twins', f'{text}\n\n{report.table(matched)}'),
        ('membership', report.table(rows)),
    ]


def _overlap_text(own: Mapping[str, Any]) -> str:
    overlap = own['overlap']
    text = (
        f'The longest match is {overlap["mean score"]:.3f} of an item in the mean; '
        f'{overlap["whole items"]} of {own["items"]} items stand there whole.'
    )
    if 'gain' not in own:
        return f'{text} Without answers there is no performance gain.'
    gain = own['gain']
    if not gain['curve']:
        return f'{text} Too few items are contaminated, or clean, to compare accuracies.'
    best = gain['chosen']
    return (
        f'{text} Accuracy is {gain["accuracy"]:.3f} on all items and {best["clean_accuracy"]:.3f} '
        f'on those with a score of at most {best["threshold"]}, where the gain stands out most: '
        f'p = {gain["p_value"]:.3g}.\n\n{report.table(gain["curve"])}'
    )


def _tokens(plan: Plan, checkpoint: Path) -> Path | None:
    """Where the training tokens are, if they are there."""
    if plan.tokens:
        return Path(plan.tokens)
    place = checkpoint.parent.parent if checkpoint.parent.name == 'checkpoints' else checkpoint
    own = place / 'data'
    if (own / 'manifest.json').is_file():
        return own
    log.warning('%s has no training tokens: n-grams are left out; name them in `tokens`', place)
    return None


def _plain(estimate: Any) -> str:
    value, low, high = estimate
    return f'{value:.3f} ({low:.3f} to {high:.3f})'


def _signed(estimate: Any) -> str:
    value, low, high = estimate
    return f'{value:+.4f} ({low:+.4f} to {high:+.4f})'
