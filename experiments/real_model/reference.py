"""llama.cpp in this process, with a cache of float32: `pip install xllamacpp==2026.10.11549`."""

import pathlib

import numpy as np
import xllamacpp


class LlamaCpp:
    """Greedy answers of llama.cpp for the model in a GGUF file."""

    def __init__(
        self, path: pathlib.Path, visible: int, threads: int = 1, context: int = 512
    ) -> None:
        """Loads the file.

        Args:
            visible: the id of a letter. The server keeps half a character back, and with it the
                probabilities, so `likeliest` has it write this letter whatever is likely.
        """
        self._visible = visible
        options = xllamacpp.CommonParams()
        options.model.path = str(path)
        options.n_ctx, options.n_parallel, options.warmup = context, 1, False
        options.cpuparams.n_threads = options.cpuparams_batch.n_threads = threads
        options.verbosity = 0
        options.cache_type_k = options.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
        options.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
        self._server = xllamacpp.Server(options)

    def greedy(self, ids: list[int], count: int) -> list[int]:
        """The likeliest ids after `ids`, one after the other, up to the end of the text."""
        return [choice['id'] for choice in self._choices(ids, count, 1)]

    def likeliest(self, ids: list[int], width: int) -> tuple[np.ndarray, np.ndarray]:
        """The likeliest next ids after `ids`, and the logarithms of their probabilities."""
        [choice] = self._choices(ids, 1, width, logit_bias=[[self._visible, 1000]])
        top = choice['top_logprobs']
        return np.array([x['id'] for x in top]), np.array([x['logprob'] for x in top])

    def _choices(self, ids: list[int], count: int, width: int, **options: list) -> list[dict]:
        request = options | {'prompt': ids, 'n_predict': count, 'temperature': 0, 'n_probs': width}
        answer = self._server.handle_completions(request)
        return answer['choices'][0]['logprobs']['content']
