"""Texts that tokenizers find hard, and a digest of the ids of many."""

import hashlib
import json
from collections.abc import Iterable, Iterator

WORDS = (
    '',
    ' ',
    '  ',
    'Hello',
    ' Hello',
    '  Hello world',
    'Hello, world! ',
    "I'm, you'LL, he'd'Ve it'S 'tis '\u017f",
    'naïve café — “quoted” … ½ ² ª',
    'e\u0301 o\u0308 \u1100\u1161\u11a8 \ufdfa',
    '漢字かな交じり文。中文、标点한국어 텍스트',
    'Ελληνικά Русский עברית العربية हिन्दी ไทย',
    '🦆🇩🇪👩‍👩‍👧‍👦 👍🏽 \U0001f986\U0010ffff',
    'x\u200by\u00a0z\u3000w\ufeff\u2028\u2029\u0085\u00ad',
    '\x00\x01\x7f\x80\ufffd\uffff',
)
NUMBERS = (
    '0123456789',
    '3.14159 1,000,000 12345678',
    '٠١٢٣ ①②③ ⅷ \U0001d7d8\U0001d7d9',
    '1+1=2, 2**10 == 1024',
)
LINES = (
    '\n',
    '\n\n\n',
    'a\nb\n\nc\r\nd\r\r\n e',
    ' \n \n\t\n x',
    'def f(x):\n    if x:\n        return [x ** 2]\n\treturn None\n',
    'trailing spaces   \nand tabs\t\t\n\n   ',
    '{"key": ["value", {}]}; // ==== !!!!\n/* ### */',
)
LOOKALIKES = (
    '<|endoftext|>',
    'a<|endoftext|>b <|user|>\nHi<|end|>\n<|assistant|>',
    '<s>text</s> <unk> <0x0A> <|fim_prefix|><|dummy_0|>',
    '\u0120a\u010a \u2585 \u2047',
)
RUNS = tuple(
    prefix + sign * count
    for sign in (' ', '\n', '\t', 'a', '=', '\u4e00')
    for count in (3, 17, 33, 100)
    for prefix in ('', 'x')
)
TEXTS = WORDS + NUMBERS + LINES + LOOKALIKES + RUNS


def characters() -> Iterator[str]:
    """A short text for each character up to U+1FFFF."""
    for code in range(0x20000):
        if not 0xD800 <= code < 0xE000:
            yield f'a{chr(code)} {chr(code)}'


def fingerprint(encoded: Iterable[list[int]]) -> str:
    """The sha256 of many lists of ids."""
    digest = hashlib.sha256()
    for ids in encoded:
        digest.update(json.dumps(ids).encode())
    return digest.hexdigest()
