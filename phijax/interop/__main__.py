"""Models in and out of files: `python -m phijax.interop import|export|verify`."""

import argparse
import sys


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code: 0, 1 when `verify` finds wrong logits, 2 for wrong input."""
    parser = argparse.ArgumentParser('phijax.interop', description=__doc__, allow_abbrev=False)
    commands = parser.add_subparsers(dest='command', required=True)

    bring = commands.add_parser('import', help='a workdir from another model')
    bring.add_argument('--source', required=True, help='a Hugging Face directory or a GGUF file')
    bring.add_argument('--workdir', required=True, help='the workdir to make')

    export = commands.add_parser('export', help='a checkpoint for transformers or llama.cpp')
    export.add_argument('--checkpoint', required=True, help='a workdir, or any other model')
    export.add_argument('--target', required=True, help='the directory to make, or NAME.gguf')
    export.add_argument('--dtype', default='float32', help='float32, bfloat16 or float16')

    verify = commands.add_parser('verify', help='logits against those that were published')
    verify.add_argument('--checkpoint', required=True, help='a model of any kind')
    verify.add_argument('--golden', required=True, help='phi-1, phi-1_5, phi-2 or a JSON file')

    flags = parser.parse_args(arguments)
    try:
        return run(flags)
    except (ValueError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2


def run(flags: argparse.Namespace) -> int:
    """Does what the flags ask for, and says what came of it."""
    from phijax.interop import convert, verify

    if flags.command == 'verify':
        comparison = verify.compare(flags.checkpoint, flags.golden)
        print(comparison)
        return int(comparison.wrong > 0)
    if flags.command == 'import':
        convert.import_model(flags.source, flags.workdir)
        print(f'{flags.workdir}: start from it with --config.init_from={flags.workdir}')
    else:
        convert.export_model(flags.checkpoint, flags.target, dtype=flags.dtype)
        reader = 'llama.cpp' if flags.target.endswith('.gguf') else 'transformers'
        print(f'{flags.target}: {reader} and phijax read it')
    return 0


if __name__ == '__main__':
    sys.exit(main())
