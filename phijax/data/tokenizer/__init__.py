"""Text to token ids and back, exactly.

Byte-level BPE of GPT-2, of CodeGen (phi-1 to phi-2), of cl100k_base (phi-3-small) and trained here;
Llama-2's sentencepiece (phi-3). The only part that imports `tokenizers` and `sentencepiece`. A text
never produces the end-of-text id, nor that of another special token, whatever it says: they are put
in by whoever writes tokens, not by the text.
"""

from phijax.data.tokenizer.byte_pairs import (
    BYTES,
    CODEGEN_WHITESPACE,
    BytePairTokenizer,
    codegen,
    from_merges,
    gpt2,
    train,
)
from phijax.data.tokenizer.codec import END_OF_TEXT, Tokenizer
from phijax.data.tokenizer.loading import load
from phijax.data.tokenizer.pieces import SentencePieceTokenizer, from_pieces
from phijax.data.tokenizer.ranks import cl100k

__all__ = [
    'BYTES',
    'CODEGEN_WHITESPACE',
    'END_OF_TEXT',
    'BytePairTokenizer',
    'SentencePieceTokenizer',
    'Tokenizer',
    'cl100k',
    'codegen',
    'from_merges',
    'from_pieces',
    'gpt2',
    'load',
    'train',
]
