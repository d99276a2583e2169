"""Writes tokens/cl100k.json with tiktoken: `python tests/golden/make_tokens.py` (needs tiktoken).

It holds texts with the ids of cl100k_base, and the sha256 of the ids of every character up to
U+1FFFF in a text of its own. The ranks are the asset `cl100k-ranks`.

Made with tiktoken 0.14.0.
"""

import json
import pathlib

import tiktoken
import tiktoken.load
import tiktoken_ext.openai_public

from phijax import assets
from tests.golden.texts import TEXTS, characters, fingerprint

HERE = pathlib.Path(__file__).parent


def main() -> None:
    """Replaces the golden file."""
    ranks = str(assets.fetch('cl100k-ranks') / 'cl100k_base.tiktoken')
    # Its own definition, but for where the ranks come from.
    tiktoken_ext.openai_public.load_tiktoken_bpe = lambda *_, **__: tiktoken.load.load_tiktoken_bpe(
        ranks
    )
    encoding = tiktoken.Encoding(**tiktoken_ext.openai_public.cl100k_base())
    content = {
        'made_with': f'tiktoken {tiktoken.__version__}',
        'characters_sha256': fingerprint(map(encoding.encode_ordinary, characters())),
        'texts': [[text, encoding.encode_ordinary(text)] for text in TEXTS],
    }
    (HERE / 'tokens').mkdir(exist_ok=True)
    lines = json.dumps(content, ensure_ascii=True).replace('], ["', '],\n["')
    (HERE / 'tokens' / 'cl100k.json').write_text(lines + '\n')


if __name__ == '__main__':
    main()
