"""From any model that opens to a workdir, a Hugging Face directory or a GGUF file."""

from pathlib import Path

from phijax import interop, models
from phijax.interop import gguf, huggingface, workdir
from phijax.interop.directory import appearing


def import_model(source: str | Path, target: str | Path) -> models.Config:
    """Makes the workdir `target`, with one checkpoint at step 0, of the model at `source`.

    Training starts from it (`init_from`), and every command opens it.

    Raises:
        FileNotFoundError: there is no model at `source`.
        ValueError: the model cannot be used, or there is something at `target`.
    """
    with appearing(Path(target)) as directory:
        config, params, tokenizer = interop.open(source)
        workdir.write(directory, config, params, tokenizer, source=str(source))
    return config


def export_model(
    checkpoint: str | Path,
    target: str | Path,
    *,
    dtype: str = 'float32',
    max_shard_bytes: float = huggingface.MAX_SHARD_BYTES,
) -> models.Config:
    """Writes the Hugging Face directory `target`, or a GGUF file if it ends in `.gguf`.

    Raises:
        FileNotFoundError: there is no model at `checkpoint`.
        ValueError: the model cannot be used or written, or there is something at `target`.
    """
    config, params, tokenizer = interop.open(checkpoint)
    if Path(target).suffix == gguf.SUFFIX:
        gguf.save(config, params, target, tokenizer=tokenizer, dtype=dtype)
        return config
    huggingface.save(
        config, params, target, tokenizer=tokenizer, dtype=dtype, max_shard_bytes=max_shard_bytes
    )
    return config
