"""The end of a run: which checkpoint is selected, what the model writes, the report."""

import dataclasses
import json
import math
import pathlib

import jax
import numpy as np

from phijax import checkpoint, generate, report
from phijax.data import chat, packing, tokenizer
from phijax.train.metrics import terminal
from phijax.train.recipe import to_dict
from phijax.train.run import Run

SAMPLE_TOKENS = 128
SAMPLE_TEMPERATURE = 0.2
COMPRESSED_BYTES = 16 << 20


def close(run: Run, workdir: pathlib.Path) -> None:
    """Selects a checkpoint, samples, and writes `report.md`; the first process does it alone."""
    if jax.process_index() == 0:
        select(run, workdir)
        if jax.process_count() == 1:
            _report(run, workdir)
        run.writer.summarise(
            report=workdir / 'report.md' if jax.process_count() == 1 else None,
            next_commands=next_commands(workdir),
        )


def select(run: Run, workdir: pathlib.Path) -> int:
    """The step of the checkpoint that other commands open, written to `selected.json`.

    Source: arXiv:2306.11644, sec. 2.3: phi-1-base is step 24,000 of 36,000, and phi-1 the best of
    the checkpoints saved every 1,000 steps of its finetuning.
    """
    wanted, steps = run.recipe.checkpoints.select, run.checkpointer.steps()
    if wanted == 'best':
        step = min(steps, key=lambda step: (_metric(workdir, step), -step))
    else:
        step = steps[-1] if wanted == 'last' else int(wanted)
    text = json.dumps({'step': step, 'rule': wanted})
    (workdir / 'selected.json').write_text(text + '\n')
    return step


def next_commands(workdir: pathlib.Path) -> list[str]:
    """What a user may want to run after training."""
    return [
        f"python -m phijax.generate --checkpoint={workdir} --prompt='def '",
        f'python -m phijax.interop export --checkpoint={workdir} --target={workdir}/huggingface',
        'python -m phijax.train --config=configs/phi1_small.py:smoke --workdir=runs/smoke',
    ]


def _metric(workdir: pathlib.Path, step: int) -> float:
    metric = checkpoint.read_metadata(workdir / 'checkpoints', step)['metric']
    return math.inf if metric is None or math.isnan(metric) else metric


def _report(run: Run, workdir: pathlib.Path) -> None:
    recipe, metrics_path = run.recipe, workdir / 'metrics.jsonl'
    if not any(record['kind'] == 'train' for record in report.records(metrics_path)):
        run.writer.warn(f'{metrics_path} has lost the steps of this run: there is no report of it')
        return
    samples = _samples(run, workdir)
    for sample in samples:
        run.writer.note(sample['prompt'] + sample['completion'])
    with (workdir / 'samples.jsonl').open('w') as file:
        file.writelines(json.dumps(sample) + '\n' for sample in samples)
    device = run.program.layout.mesh.devices.flat[0].device_kind
    evaluations = _evaluations(run)
    for source, bits in evaluations.items():
        beside = ', '.join(f'{name} {value:.3f}' for name, value in bits.items())
        run.writer.note(f'bits per byte of the held-out {source}: {beside}')
    report.write_report(
        workdir,
        title=recipe.name,
        config=to_dict(recipe),
        metrics_path=metrics_path,
        evaluations=evaluations,
        samples=samples,
        tables={'Benchmarks': _benchmarks(run)},
        next_commands=next_commands(workdir),
        environment=report.environment() | {'device': f'{jax.device_count()} x {device}'},
    )


def _benchmarks(run: Run) -> list[dict[str, str]]:
    """The scores of the last step, in percent, with their intervals."""
    values = run.evaluate()
    return [
        {
            'task': name,
            'score': f'{100 * value:.1f}',
            '95 %': ' to '.join(
                f'{100 * values[f"benchmark/{name}_{end}"]:.1f}' for end in ('low', 'high')
            ),
        }
        for name, value in terminal.benchmarks(values).items()
    ]


def _samples(run: Run, workdir: pathlib.Path) -> list[dict[str, str]]:
    """What the model writes after each prompt, or answers to it where it learned from chats."""
    recipe = run.recipe
    if not recipe.prompts:
        return []
    model = dataclasses.replace(recipe.model, attention='blocked')
    codec = tokenizer.load(workdir / 'tokenizer')
    format_name = _chat_format(run)
    encoded = [_prompt(prompt, format_name, codec) for prompt in recipe.prompts]
    completions = generate.generate(
        model,
        run.state.params,
        encoded,
        max_new_tokens=min(SAMPLE_TOKENS, recipe.data.length // 2),
        temperature=SAMPLE_TEMPERATURE,
        seed=recipe.seed,
        ends=chat.ends(format_name, codec) if format_name else codec.ends,
        vocab_size=codec.vocab_size,
    )
    gap = '\n' if format_name else ''
    return [
        {'prompt': prompt + gap, 'completion': codec.decode(ids)}
        for prompt, ids in zip(recipe.prompts, completions, strict=True)
    ]


def _prompt(text: str, format_name: str, codec: tokenizer.Tokenizer) -> list[int]:
    if not format_name:
        return codec.encode(text) or [codec.end_of_text]
    return chat.generation_prompt(format_name, [{'role': 'user', 'content': text}], codec)


def _chat_format(run: Run) -> str:
    """The chat format that the run learned; empty where it learned from text."""
    sources = packing.manifest(run.directory)['sources']
    used = [sources[name] for name in run.recipe.data.weights or sources]
    formats = [source.get('format', '') for source in used]
    return '' if run.recipe.objective.form == 'text' else max(formats)


def _evaluations(run: Run) -> dict[str, dict[str, float]]:
    """Bits per byte of each source's held-out text, the model's beside those of compressors."""
    evaluations = {}
    for name, bits in run.evaluate().items():
        if name.startswith('bits_per_byte/'):
            source = name.removeprefix('bits_per_byte/')
            text = _heldout_text(run.directory, source)
            # A chat's bits are of the answers only, which no compressor here sees alone.
            alike = text and run.recipe.objective.form == 'text'
            others = report.compression_baselines(text) if alike else {}
            evaluations[source] = {'phijax': bits} | others
    return evaluations


def _heldout_text(directory: pathlib.Path, source: str) -> bytes:
    """The held-out documents, one after the other; nothing if they are very long."""
    manifest = packing.manifest(directory)
    split = manifest['sources'][source]['splits']['heldout']
    if split['bytes'] > COMPRESSED_BYTES:
        return b''
    codec = tokenizer.load(directory / 'tokenizer')
    parts = [
        np.fromfile(directory / shard['file'], dtype=manifest['dtype']) for shard in split['shards']
    ]
    tokens = np.concatenate(parts)
    return codec.decode(tokens[tokens != codec.end_of_text].tolist()).encode()
