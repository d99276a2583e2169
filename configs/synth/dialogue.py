"""Conversations for phi-3's fine-tuning, and pairs of answers for DPO.

    python -m phijax.data.synthesis --config=configs/synth/dialogue.py --workdir=runs/dialogue

The teacher is named as for `textbooks.py`; `:smoke` asks for 40 conversations. What comes of it are
`pairs-*/conversations-00000.jsonl` and `preferences-00000.jsonl` below the workdir, for the sources
`chat` and `preference` of `configs/tokenize/chats.py`.

Expected: not measured yet with a real teacher.
Source: arXiv:2404.14219, sec. 2 (chat data, DPO); how it was made is not published, so all of this
is our choice.
"""

import pathlib
import runpy

import ml_collections

# By its path, so that it is found from every directory.
_TEXTBOOKS = runpy.run_path(str(pathlib.Path(__file__).with_name('textbooks.py')))


def get_config(variant: str = 'full') -> ml_collections.ConfigDict:
    config = _TEXTBOOKS['get_config'](variant)
    small = variant == 'smoke'
    config.topics = {'taxonomy': 'commonsense', 'leaves': 400 if small else 5000}
    config.texts.kind = 'dialogue'
    config.pairs = {'samples': 20 if small else 10_000}
    return config
