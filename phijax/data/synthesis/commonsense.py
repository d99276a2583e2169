"""Common sense: short texts of daily life, of people's minds and of the world.

Half of the prompts name a topic; the other half show an extract of the web and no topic, so that
not all texts come from one list.
Source: arXiv:2309.05463, sec. 2.2 (topics for common sense and general knowledge, samples of web
data in the prompts for diversity). How they were used is not published; the halves are Cosmopedia's
(huggingface.co/blog/cosmopedia), wording and factors are our own.
"""

from __future__ import annotations

from phijax.data.synthesis.texts import Genre

COMMONSENSE = Genre('commonsense', ('topic', 'extract'), most_repeated=0.4)
