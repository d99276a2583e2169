"""The texts that a model is judged on: textbook-like code that no pile holds.

The `algorithms` package (MIT; `pip download --no-deps algorithms==1.0.1`) and the snippets of the
Python tutorial (Debian's python3.11-doc). Both are fetched by hand into one folder, see README.md.
"""

import pathlib
import re
import textwrap
import zipfile

WHEEL = 'algorithms-1.0.1-py3-none-any.whl'
TUTORIAL = 'doc/usr/share/doc/python3.11/html/_sources/tutorial'
MIN_CHARACTERS = 200


def algorithms(folder: pathlib.Path) -> list[str]:
    """The modules of the package without its tests and its lists of imports."""
    with zipfile.ZipFile(folder / WHEEL) as wheel:
        names = [name for name in sorted(wheel.namelist()) if name.startswith('algorithms/')]
        wanted = [n for n in names if n.endswith('.py') and '__init__' not in n and 'test' not in n]
        texts = [wheel.read(name).decode() for name in wanted]
    return [text for text in texts if len(text) >= MIN_CHARACTERS]


def tutorial(folder: pathlib.Path) -> list[str]:
    """The code of each chapter, without the prompts of the interpreter and its answers."""
    found = []
    for path in sorted((folder / TUTORIAL).glob('*.rst.txt')):
        blocks = re.findall(r'(?m)::\n\n((?:[ ]{3,}.*\n|\n)+)', path.read_text())
        code = '\n'.join(_code(textwrap.dedent(block)) for block in blocks)
        if len(code) >= MIN_CHARACTERS:
            found.append(code)
    return found


def _code(block: str) -> str:
    lines = block.splitlines()
    if not any(line.startswith('>>> ') for line in lines):
        return block
    return ''.join(f'{line[4:]}\n' for line in lines if line.startswith(('>>> ', '... ')))
