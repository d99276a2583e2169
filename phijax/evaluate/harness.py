"""A phijax model inside lm-evaluation-harness, so that any of its tasks runs on it.

`python -m phijax.evaluate.harness --model phijax --model_args checkpoint=runs/phi2 --tasks piqa`
is the harness's own command with this model in its list. Needs `pip install 'phijax[eval]'`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lm_eval import utils
from lm_eval.api.instance import Instance
from lm_eval.api.model import TemplateLM
from lm_eval.api.registry import register_model

from phijax import models
from phijax.errors import InputError
from phijax.evaluate import likelihood
from phijax.evaluate.likelihood import Request
from phijax.generate import completion

_MAX_NEW_TOKENS = 256


@register_model('phijax')
class Phijax(TemplateLM):
    """The harness's view of a model: likelihoods, rolling likelihoods, and written answers."""

    def __init__(
        self,
        checkpoint: str = '',
        *,
        model: tuple[models.Config, models.Params, Any] | None = None,
        bits: int | None = None,
        batch_size: int | str = 16,
        device: str | None = None,
        max_batch_size: int | None = None,
    ) -> None:
        """Opens a checkpoint, or takes a model that is open.

        Args:
            checkpoint: what `interop.open` takes.
            model: configuration, parameters and tokenizer.
            batch_size: answers that are written at once; likelihoods batch by tokens.
            device: ignored with `max_batch_size`: the harness passes them, jax has its devices.

        Raises:
            InputError: neither is given, or the checkpoint cannot be used.
        """
        super().__init__()
        if model is None and not checkpoint:
            raise InputError('model_args must name a checkpoint: checkpoint=PATH')
        self.config, self.params, codec = model or completion.load(checkpoint, bits)
        self.codec: Any = codec
        self.rows_at_once = int(batch_size) if str(batch_size).isdecimal() else 16

    @property
    def eot_token_id(self) -> int:
        """The id that stands where there is no context."""
        return self.codec.end_of_text

    @property
    def max_length(self) -> int:
        """The longest row of the model."""
        return self.config.max_length

    @property
    def max_gen_toks(self) -> int:
        """Tokens of an answer where the task does not say."""
        return min(_MAX_NEW_TOKENS, self.config.max_length // 2)

    @property
    def tokenizer_name(self) -> str:
        """What the harness's cache tells tokenizers apart by."""
        return self.codec.digest

    def tok_encode(
        self, string: str, add_special_tokens: bool | None = None, **kwargs: Any
    ) -> list[int]:
        """The ids of a text; no special token is ever added."""
        return self.codec.encode(string)

    def _loglikelihood_tokens(
        self, requests: list[tuple[tuple[str, str], list[int], list[int]]], **kwargs: Any
    ) -> list[tuple[float, bool]]:
        asked = [Request(tuple(before), tuple(after)) for _, before, after in requests]
        scores = likelihood.score(self.config, self.params, asked)
        for (key, _, _), score in zip(requests, scores, strict=True):
            self.cache_hook.add_partial('loglikelihood', key, (score.log_likelihood, score.greedy))
        return [(score.log_likelihood, score.greedy) for score in scores]

    def loglikelihood_rolling(
        self, requests: list[Instance], disable_tqdm: bool = False
    ) -> list[float]:
        """The log-likelihood of each text as a whole, in windows that overlap by one token."""
        asked, owners = [], []
        for number, request in enumerate(requests):
            windows = utils.get_rolling_token_windows(
                token_list=self.tok_encode(request.args[0]),
                prefix_token=self.prefix_token_id,
                max_seq_len=self.max_length,
                context_len=1,
            )
            for before, after in map(utils.make_disjoint_window, windows):
                asked.append(Request(tuple(before), tuple(after)))
                owners.append(number)
        sums = [0.0] * len(requests)
        for owner, score in zip(
            owners, likelihood.score(self.config, self.params, asked), strict=True
        ):
            sums[owner] += score.log_likelihood
        return sums

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """What the model writes after each context, up to the first of the request's stops."""
        answers: list[str] = [''] * len(requests)
        by_options: dict[str, list[int]] = {}
        for number, request in enumerate(requests):
            by_options.setdefault(repr(request.args[1]), []).append(number)
        for numbers in by_options.values():
            options = requests[numbers[0]].args[1]
            texts = self._write([requests[number].args[0] for number in numbers], options)
            for number, text in zip(numbers, texts, strict=True):
                answers[number] = text
        return answers

    def _write(self, contexts: Sequence[str], options: dict[str, Any]) -> list[str]:
        until = options.get('until') or ()
        stops = (until,) if isinstance(until, str) else tuple(stop for stop in until if stop)
        most = min(int(options.get('max_gen_toks', self.max_gen_toks)), self.max_length // 2)
        room = self.max_length - most
        encoded = [self.tok_encode(text)[-room:] or [self.eot_token_id] for text in contexts]
        return completion.go_on(
            self.config,
            self.params,
            self.codec,
            encoded,
            stop=stops,
            max_new_tokens=most,
            **_drawing(options),
            rows_at_once=self.rows_at_once,
        )[0]


def _drawing(options: dict[str, Any]) -> dict[str, Any]:
    """How the harness wants tokens to be drawn; greedily where it does not say."""
    temperature = float(options.get('temperature') or 0.0)
    if not temperature and options.get('do_sample'):
        temperature = 1.0
    limits = {'top_p': float(options.get('top_p', 1.0)), 'top_k': int(options.get('top_k', 0))}
    return {'temperature': temperature, **(limits if temperature else {})}


if __name__ == '__main__':
    from lm_eval.__main__ import cli_evaluate

    cli_evaluate()
