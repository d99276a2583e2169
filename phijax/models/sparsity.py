"""The blocksparse pattern as arithmetic on block numbers; see `configs.Sparsity` for the rule.

A head sees, of the blocks that are not local, those of one residue modulo the stride. Head h's is
-(h * step + 1), so neighbouring heads divide the blocks among them.
"""

import math

import numpy as np
from jaxtyping import Int

from phijax.models.configs import Sparsity


def residues(sparsity: Sparsity, num_heads: int, num_kv_heads: int) -> Int[np.ndarray, 'k g']:
    """The residue of each query head, by key/value head and place in its group."""
    step = 0 if sparsity.homogeneous else max(1, sparsity.stride // num_heads)
    heads = np.arange(num_heads).reshape(num_kv_heads, -1)
    return -(heads * step + 1) % sparsity.stride


def ranks(residues: Int[np.ndarray, 'k g']) -> Int[np.ndarray, ' g']:
    """The place of each query head's residue among the different residues of its group.

    It is the same in every group, since their residues differ by a constant.
    """
    firsts = list(dict.fromkeys(residues[0].tolist()))
    return np.array([firsts.index(residue) for residue in residues[0].tolist()])


def kept_residues(residues: Int[np.ndarray, 'k g']) -> Int[np.ndarray, 'k r']:
    """The different residues of each group, in the order of `ranks`: all that its cache keeps."""
    order = ranks(residues)
    firsts = [int(np.flatnonzero(order == rank)[0]) for rank in range(int(order.max()) + 1)]
    return residues[:, firsts]


def period(residues: Int[np.ndarray, 'k g']) -> int:
    """After how many key/value heads the residues repeat."""
    num_kv_heads = len(residues)
    lengths = [p for p in range(1, num_kv_heads + 1) if num_kv_heads % p == 0]
    return next(
        p for p in lengths if (residues == np.tile(residues[:p], (num_kv_heads // p, 1))).all()
    )


def far_blocks(sparsity: Sparsity, length: int) -> int:
    """How many blocks of one residue `length` positions have beyond the local ones."""
    behind = math.ceil(length / sparsity.block) - sparsity.local
    return max(0, math.ceil(behind / sparsity.stride))
