"""A teacher that is no model: what it writes is made of the prompt's words, by its hash alone.

Some of its answers are bad in every way that answers are; asked again, it does better, mostly.
"""

import hashlib
import json
import random
import re
from collections.abc import Mapping
from typing import Any

from tests.data.synthesis.exercises import shelf

# How the system messages of exercises begin.
CODERS = ('You write programming exercises', 'You are a Python programmer')
SYLLABLES = [a + b for a in 'bcdfgklmnprstv' for b in 'aeiou']
# One in so many first answers has each fault.
FAULTS = ('refused', 'repetitive', 'echo', 'short', 'fence', 'off_topic')
FAULT_RATE = 60
AGAIN = 'could not be used'

REFUSAL = "I'm sorry, but as an AI I cannot help with that request. Please ask something else."


def write(body: Mapping[str, Any]) -> str:
    """The answer to a request."""
    prompt = body['messages'][-1]['content']
    asked = json.dumps([body['messages'], body.get('seed')])
    chance = random.Random(hashlib.sha256(asked.encode()).digest())
    if 'response_format' in body:
        properties = body['response_format']['json_schema']['schema']['properties']
        return topics(chance) if 'topics' in properties else conversation(prompt, chance)
    if body['messages'][0]['content'].startswith(CODERS):
        return exercise(prompt, chance)
    draw = chance.randrange(FAULT_RATE if AGAIN not in prompt else 5 * FAULT_RATE)
    return _FAULTY[FAULTS[draw]](prompt, chance) if draw < len(FAULTS) else text(prompt, chance)


def word(chance: random.Random) -> str:
    return ''.join(chance.choices(SYLLABLES, k=chance.choice((2, 3, 3, 4))))


def topics(chance: random.Random) -> str:
    """Five names; of all, one in twenty comes again and again, one in thirty is none."""
    found = []
    for _ in range(5):
        name = ' '.join(word(chance) for _ in range(3))
        draw = chance.random()
        name = 'The usual topic' if draw < 0.05 else '---' if draw < 0.08 else name
        found.append({'name': name, 'probability': round(chance.random(), 2)})
    return json.dumps({'topics': found})


def conversation(prompt: str, chance: random.Random) -> str:
    turns = [
        {'role': ('user', 'assistant')[n % 2], 'content': prose(prompt, chance, 30)}
        for n in range(4)
    ]
    return json.dumps({'messages': turns})


def exercise(prompt: str, chance: random.Random) -> str:
    """A function of the name that is asked for; two in five are wrong in one of several ways."""
    given = re.search(r'Complete this.*?def (\w+)', prompt, re.DOTALL)
    named = given or re.search(r'`(\w+)`', prompt)
    name = named[1] if named else word(chance)
    body = shelf.SOLUTIONS[name] if given else _exercise(name, chance)
    wrong = [
        body.replace('return ', 'return 1 + '),
        body.replace(name, 'other'),
        body[:-3],
        REFUSAL,
    ]
    return f'```python\n{body if chance.random() < 0.6 else chance.choice(wrong)}```'


def _exercise(name: str, chance: random.Random) -> str:
    number = chance.randrange(2, 99)
    about = ' '.join(word(chance) for _ in range(12))
    examples = ''.join(f'    >>> {name}({n})\n    {n * number}\n' for n in range(3))
    return f'def {name}(x):\n    """{about}.\n\n{examples}    """\n    return x * {number}\n'


def prose(prompt: str, chance: random.Random, count: int) -> str:
    """Sentences of the prompt's words and others, in no order of the prompt's."""
    own = re.findall(r'[a-z]{3,}', prompt.lower()) or [word(chance)]
    words = [
        chance.choice(own) if own and chance.random() < 0.5 else word(chance) for _ in range(count)
    ]
    lines = [words[start : start + 11] for start in range(0, count, 11)]
    return ' '.join(f'{" ".join(line).capitalize()}.' for line in lines)


def code(chance: random.Random) -> str:
    name, other = word(chance), word(chance)
    return f'```python\n{name} = {chance.randrange(99)}\n{other} = {name} + 1\nprint({other})\n```'


def text(prompt: str, chance: random.Random) -> str:
    """A text of about the length that is asked for, with programs where there is talk of them."""
    asked = re.findall(r'[Aa]bout (\d+) words', prompt)
    parts = [prose(prompt, chance, max(int(asked[-1] if asked else 200) // 3, 30)) for _ in '123']
    if '```' in prompt:
        parts.insert(1, code(chance))
    return '\n\n'.join(parts)


_FAULTY = {
    'refused': lambda prompt, chance: REFUSAL,
    'repetitive': lambda prompt, chance: prose(prompt, chance, 22) * 20 + code(chance),
    'echo': lambda prompt, chance: f'{prompt}\n\n{code(chance)}' if '```' in prompt else prompt,
    'short': lambda prompt, chance: prose(prompt, chance, 12),
    'fence': lambda prompt, chance: text(prompt, chance) + '\n```python\nprint(1',
    'off_topic': lambda prompt, chance: (
        prose(word(chance), chance, 250) + ('\n\n' + code(chance)) * ('```' in prompt)
    ),
}
