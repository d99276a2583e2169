"""What holds for every tokenizer and every text."""

from hypothesis import given, settings
from hypothesis import strategies as st

from phijax.data import tokenizer

SPACES = (' ', '  ', '\t', '\t\t\t', '\n', '\r\n', '\u3000', '\ufeff', '\x00')
MARKS = ('<|endoftext|>', 'endoftext', '<|', '|>', "'s", '_', '"""', '\u0120', '\u010a')
SPECIAL = ('<|user|>', '<|end|>\n', '</s>  ', '<s>', '<unk>', '<0x0A>', '<|im_end|>')
WORDS = ('def f(x):', '123', '\u00e9', 'e\u0301', '\U0001f986', '\U0010ffff', '\ufdfa')
PIECES = st.sampled_from(SPACES + MARKS + SPECIAL + WORDS)
TEXTS = st.one_of(st.text(), st.lists(PIECES).map(''.join))


def check(codec: tokenizer.Tokenizer, without: str = '') -> None:
    """Texts come back, the same alone and together, and never have a special id.

    Args:
        without: a character that the texts do not have.
    """
    names = {*SPECIAL, *MARKS, *(f'<|{name}|>' for name in ('system', 'assistant', 'endofprompt'))}
    special = {codec.special(name.strip()) for name in names} - {None}
    assert {codec.end_of_text, *codec.ends} <= special

    @settings(max_examples=150)
    @given(texts=st.lists(TEXTS, max_size=4))
    def every(texts: list[str]) -> None:
        texts = [text.replace(without, '') if without else text for text in texts]
        batch = codec.encode_batch(texts)
        assert [codec.decode(ids) for ids in batch] == texts
        assert batch == [codec.encode(text) for text in texts]
        for ids in batch:
            assert not special.intersection(ids)
            assert all(0 <= i < codec.vocab_size for i in ids)

    every()
