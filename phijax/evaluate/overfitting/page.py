"""The report on overfitting: every test with its p-value, and what none of them shows."""

from collections.abc import Iterator, Mapping
from typing import Any

from phijax import report
from phijax.evaluate import statistics

# Source: GSM1k, arXiv:2405.00332, fourth version: the table, and the abstracts of both versions.
GSM1K = (
    'What others measured: GSM1k (arXiv:2405.00332), 1,205 new problems like those of GSM8K. Its '
    'final version has accuracy drops of up to 8 % and r² = 0.36 between the likelihood of GSM8K '
    'and the drop; phi-2 +6.3 points, phi-1.5 +5.1, Phi-3-medium-128k +4.4, Phi-3-mini-4k +4.0, '
    'Phi-3-medium-4k +2.0 and Phi-3-mini-128k +1.1 (the last two within chance). The first version '
    'said up to 13 % and named the phi models; it was revised, and is still quoted.'
)
LIMITS = (
    'A test that finds nothing is not proof that nothing leaked: paraphrases pass every one of '
    'them, and the order test sees only sets that were read in their order.',
    'A twin that is made by a rule may be easier or harder than its item. A gap is of '
    'contamination only as far as the measures under "Twins" are alike.',
    'Where a blind score, which asks no model, tells items from twins, the sets differ in kind and '
    'the figures of the other detectors on them mean nothing.',
    'The detectors were validated on small models with known leaks: experiments/overfitting.',
)


def tests(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row for each test with a p-value, and the p-value that counts how many there are (Holm)."""
    rows = [row for name, one in found['sets'].items() for row in _tests_of(name, one)]
    adjusted = statistics.holm([row['p'] for row in rows])
    return [
        {
            **row,
            'p, of all tests': value,
            'finding': 'yes' if value < statistics.LEVEL else 'no',
        }
        for row, value in zip(rows, adjusted, strict=True)
    ]


def write(found: Mapping[str, Any]) -> str:
    """The page, in Markdown."""
    sections = [('', report.table(found['tests']))]
    for name, one in found['sets'].items():
        sections += [(f'{name}: {title}', text) for title, text in _set(one)]
    sections += [
        ('Canaries', report.table(found['canaries']) if found['canaries'] else ''),
        ('Beside', GSM1K),
        (
            'Many tests',
            'The second column of p-values is adjusted by Holm, so that the chance of any false '
            'finding on this page is 5 %.',
        ),
        ('What this does not show', '\n'.join(f'- {limit}' for limit in LIMITS)),
        ('Settings', report.pairs({**found['settings'], **found['environment']})),
    ]
    return report.page(f'Overfitting of {found["checkpoint"]}', sections)


def _tests_of(name: str, one: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The tests of one set that were made."""
    gained = (one['training'] or {}).get('gain') or {'p': None}
    p_values = {
        'published order': one['order']['p_value'],
        'answered better than its twin': (one['accuracy gap'] or {'p': None})['p'],
        'gain of items in the training text': gained['p'],
    }
    for test, p_value in p_values.items():
        if p_value is not None:
            yield {'set': name, 'test': test, 'p': float(p_value)}


def _set(one: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The sections of one set."""
    gap, order, asked = one['likelihood gap'], one['order'], one['accuracy gap']
    public, twin = one['nats per character']
    detectors = [
        {
            'detector': name,
            'asks the model': 'no' if each['blind'] else 'yes',
            'AUROC': each['value'],
            '95 %': f'{each["low"]:.3f} to {each["high"]:.3f}',
        }
        for name, each in one['detectors'].items()
    ]
    sections = [
        ('Twins', report.pairs({'items': one['items'], 'twins': one['twins'], **one['matching']})),
        (
            'Likelihood',
            f'{public:.4f} nats per character of the items, {twin:.4f} of their twins: '
            f'{gap["value"]:+.4f} ({gap["low"]:+.4f} to {gap["high"]:+.4f}). No p-value: twins '
            'by rule are less natural than what a person wrote, whatever the model has seen.',
        ),
        ('Members or not', report.table(detectors)),
        (
            'Order',
            f'The published order is {order["preference"]:+.3f} nats likelier than shuffled ones, '
            f'over {order["shards"]} stretches (p = {order["p_value"]:.3g}).',
        ),
    ]
    if asked:
        of_items, of_twins = (100 * share for share in asked['accuracy'])
        ends = ' to '.join(f'{100 * asked[end]:+.1f}' for end in ('low', 'high'))
        sections.append(
            (
                'Accuracy',
                f'{of_items:.1f} % of {asked["items"]} items and {of_twins:.1f} % of their twins '
                f'are answered rightly: {100 * asked["value"]:+.1f} points ({ends}), McNemar '
                f'p = {asked["p"]:.3g}.',
            )
        )
    return [*sections, *_training(one['training'])]


def _training(training: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    if training is None:
        return [('Training text', 'Not at hand: no n-gram of the set was looked for in it.')]
    shown = {name: value for name, value in training.items() if isinstance(value, int)}
    text = f'{report.pairs(shown)}\n\n{report.table(training["most matched"])}'
    gained = training.get('gain')
    if gained and gained['curve']:
        text += (
            f'\n\nAccuracy on all items {gained["accuracy"]:.3f}; without those whose longest '
            f'match is above a share of their tokens:\n\n{report.table(gained["curve"])}'
        )
    return [('Training text', text)]
