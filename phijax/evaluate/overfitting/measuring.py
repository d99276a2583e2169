"""Every detector on one model: figures ready for JSON."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from phijax.errors import InputError
from phijax.evaluate import statistics
from phijax.evaluate.overfitting import canaries, gain, membership, overlap
from phijax.evaluate.overfitting.order import order_test
from phijax.evaluate.overfitting.plan import Plan
from phijax.evaluate.overfitting.sets import SETS, Pair, matching
from phijax.evaluate.overfitting.texts import Reader


def measure(plan: Plan, reader: Reader, tokens: Path | None) -> dict[str, Any]:
    """The figures of each set and of the canaries, and all p-values, adjusted for being many.

    Args:
        tokens: the directory of token shards that the model was trained on, if there is one.

    Raises:
        InputError: answers, canaries or token shards cannot be used.
        AssetError: a set cannot be had.
    """
    found: dict[str, Any] = {'sets': {}, 'canaries': []}
    p_values: dict[str, float] = {}
    for name in plan.sets:
        pairs = SETS[name](plan.seed)
        pairs = pairs[: plan.limit or None]
        found['sets'][name] = own = measure_set(name, pairs, plan, reader, tokens)
        p_values |= {f'{name}: {test}': p for test, p in own['p_values'].items()}
    if plan.canaries:
        found['canaries'] = measure_canaries(plan, reader)
        planted = [each for each in found['canaries'] if each['copies']]
        p_values |= {
            f'canary {number}, planted {each["copies"]} times': each['p_value']
            for number, each in enumerate(planted, 1)
        }
    adjusted = statistics.holm(list(p_values.values()))
    found['tests'] = [
        {'test': test, 'p': p, 'p after Holm': after}
        for (test, p), after in zip(p_values.items(), adjusted, strict=True)
    ]
    return found


def measure_set(
    name: str, pairs: Sequence[Pair], plan: Plan, reader: Reader, tokens: Path | None
) -> dict[str, Any]:
    """The figures of one set."""
    order = order_test(
        [pair.text for pair in pairs],
        reader.log_likelihoods,
        shards=plan.shards,
        permutations=plan.permutations,
        seed=plan.seed,
    )
    found: dict[str, Any] = {
        'items': len(pairs),
        'order': order._asdict(),
        'p_values': {'published order': order.p_value},
    }
    twins = [pair for pair in pairs if pair.twin is not None]
    if twins:
        found |= {'twins': len(twins), 'matching': matching(pairs)} | _against_twins(twins, reader)
    answers = _answers(plan.answers, name, pairs)
    if tokens is not None:
        items = [reader.tokenizer.encode(pair.text) for pair in pairs]
        matches = overlap.matches(items, tokens)
        scores = [match.score for match in matches]
        found['overlap'] = {'mean score': float(np.mean(scores)), 'whole items': scores.count(1.0)}
        if answers:
            found['gain'] = _gain(gain.performance_gain(matches, answers), found['p_values'])
    if answers and twins and (other := _answers(plan.twin_answers, name, twins)):
        kept = [right for right, pair in zip(answers, pairs, strict=True) if pair.twin is not None]
        found['accuracy'] = {
            'item': statistics.share(sum(kept), len(kept)),
            'twin': statistics.share(sum(other), len(other)),
            'gap': statistics.difference(kept, other),
        }
        found['p_values']['accuracy against twins'] = statistics.mcnemar(kept, other)
    return found


def measure_canaries(plan: Plan, reader: Reader) -> list[dict[str, Any]]:
    """The exposure of each canary."""
    planted = canaries.planted(plan.canaries)
    exposed = canaries.exposures(planted, reader.log_likelihoods, plan.references, plan.seed)
    return [
        {
            'copies': canary.copies,
            'exposure': one.exposure,
            'most': float(np.log2(one.references + 1)),
            'p_value': one.p_value,
        }
        for canary, one in zip(planted, exposed, strict=True)
    ]


def _against_twins(twins: Sequence[Pair], reader: Reader) -> dict[str, Any]:
    """Likelihoods per character, pair by pair, and every membership score beside blind ones."""
    sides = [[pair.text for pair in twins], [str(pair.twin) for pair in twins]]
    scores = [reader.scores(texts) for texts in sides]
    lowered = [reader.scores([text.lower() for text in texts]) for texts in sides]
    each = [membership.per_character(*both) for both in zip(sides, scores, strict=True)]
    named = [membership.model_scores(*all_) for all_ in zip(sides, scores, lowered, strict=True)]
    found = membership.detectors(
        *sides, {name: (named[0][name], named[1][name]) for name in named[0]}
    )
    return {
        'per_character': {
            'item': float(each[0].mean()),
            'twin': float(each[1].mean()),
            'gap': statistics.difference(*each),
        },
        'membership': {
            name: {'auroc': detector.auroc, 'blind': detector.blind}
            for name, detector in found.items()
        },
    }


def _gain(found: gain.Gain, p_values: dict[str, float]) -> dict[str, Any]:
    if found.p_value is not None:
        p_values['performance gain'] = found.p_value
    return {
        'accuracy': found.accuracy,
        'curve': [point._asdict() for point in found.curve],
        'chosen': found.chosen._asdict() if found.chosen else None,
        'p_value': found.p_value,
    }


def _answers(files: Mapping[str, str], name: str, pairs: Sequence[Pair]) -> list[bool]:
    """Whether each item was answered rightly, out of the file for the set; empty without one."""
    if not files.get(name):
        return []
    path = Path(files[name])
    known = read_answers(path)
    missing = [pair.id for pair in pairs if pair.id not in known]
    if missing:
        raise InputError(
            f'{path} has no answer to {len(missing)} of {len(pairs)} items of {name}, such as '
            f'{missing[0]!r}; it has {", ".join(list(known)[:3])}, ...'
        )
    return [known[pair.id] for pair in pairs]


def read_answers(path: Path) -> dict[str, bool]:
    """Whether each item was answered rightly, by id.

    Raises:
        InputError: a line is neither `{"id": …, "correct": …}` nor a sample of `phijax.evaluate`.
    """
    found = {}
    for number, line in enumerate(path.read_text('utf-8').splitlines(), 1):
        try:
            record = json.loads(line)
            if 'asked' in record:
                continue
            right = record['correct'] if 'correct' in record else record['values']['accuracy']
            found[str(record['id'])] = bool(right)
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f'{path}:{number} is no answer to an item: {error!r}') from error
    return found
