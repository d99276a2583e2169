"""An evolutionary search of factors: pure Python, for any fitness.

A vector holds hundredths, so that the grid of 0.01 is exact: 100 is a factor of 1. Its numbers
never decrease, as the pairs that turn fastest bear the least change.

Source: arXiv:2402.13753, sec. 3.2 and alg. 1 (space, monotone factors, population), and the
`dim_mono` search of microsoft/LongRoPE (the order of draws in a mutation and in a crossover).
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

GRID = 100
# Draws for one child before the round goes on without it. Source: microsoft/LongRoPE has 20 for a
# crossover and no bound for a mutation; a small space may hold no new vector at all.
CROSSOVER_TRIES = 20
MUTATION_TRIES = 1000

Vector = tuple[int, ...]
Scores = dict[Vector, float]
Fitness = Callable[[Vector], float]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """How much is searched.

    Attributes:
        population: vectors before the first round.
        parents: the best so far, of which a round makes its new ones.
        mutations, crossovers: new vectors of each kind in a round.
        probability: with which each factor is drawn anew in a mutation, or visited in a crossover.
        rounds: after the first population.
        budget: most evaluations of the fitness.
        ceiling: largest factor, as a multiple of the stretch.
        finalists: of the best, how many are compared again on other texts.
    """

    population: int
    parents: int
    mutations: int
    crossovers: int
    probability: float
    rounds: int
    budget: int
    ceiling: float
    finalists: int


def to_vector(factors: Iterable[float], ceiling: int) -> Vector:
    """The nearest point of the grid that the search may visit."""
    hundredths = (round(GRID * factor) for factor in factors)
    return tuple(max(GRID, min(ceiling, each)) for each in hundredths)


def to_factors(vector: Vector) -> tuple[float, ...]:
    """The factors that a vector stands for."""
    return tuple(each / GRID for each in vector)


def search(
    starts: Sequence[Vector],
    fitness: Fitness,
    settings: Settings,
    *,
    ceiling: int,
    seed: int,
    scores: Mapping[Vector, float] | None = None,
    rounds_done: int = 0,
    after_round: Callable[[int, Scores], None] = lambda rounds_done, scores: None,
) -> Scores:
    """The fitness of every vector that was tried, none of them twice; the least is the best.

    The result depends on the arguments alone: a round's draws come from the seed and its number,
    and from the scores before it. So a search goes on from what `after_round` was given.

    Args:
        ceiling: largest number of a vector.
        scores, rounds_done: those of a search that was interrupted.
        after_round: told how many rounds are done, that of the first population included.
    """
    found = dict(scores or {})
    for number in range(rounds_done, settings.rounds + 1):
        room = settings.budget - len(found)
        if room <= 0:
            break
        draws = _Round(settings, ceiling, np.random.default_rng((seed, number)), set(found))
        parents = best(found, settings.parents)
        vectors = draws.offspring(parents) if number else draws.first(starts)
        for vector in vectors[:room]:
            found[vector] = float(fitness(vector))
        after_round(number + 1, found)
    return found


def best(scores: Mapping[Vector, float], number: int) -> list[Vector]:
    """The vectors of the lowest scores, the earlier of equals first."""
    return sorted(scores, key=lambda vector: scores[vector])[:number]


def mutate(vector: Vector, probability: float, ceiling: int, random: np.random.Generator) -> Vector:
    """The vector with some numbers drawn anew, each from what lies between its neighbours."""
    child = list(vector)
    for place in range(len(child)):
        if random.random() < probability:
            low = child[place - 1] if place else GRID
            high = child[place + 1] if place + 1 < len(child) else ceiling
            child[place] = int(random.integers(low, high + 1))
    return tuple(child)


def cross(better: Vector, other: Vector, probability: float, random: np.random.Generator) -> Vector:
    """The better vector with some numbers of the other; it may decrease."""
    child = list(better)
    for place in range(len(child)):
        if random.random() < probability and random.random() < 0.5:
            child[place] = other[place]
    return tuple(child)


def is_monotone(vector: Vector) -> bool:
    """Whether no number is less than the one before."""
    return all(one <= two for one, two in itertools.pairwise(vector))


@dataclasses.dataclass
class _Round:
    """The draws of one round: its children are new, and never decrease."""

    settings: Settings
    ceiling: int
    random: np.random.Generator
    known: set[Vector]

    def first(self, starts: Sequence[Vector]) -> list[Vector]:
        """The vectors to start from, and mutations of them by turns."""
        made = list(dict.fromkeys(starts))[: self.settings.population]
        self.known.update(made)
        turns = range(self.settings.population - len(made))
        children = (self.mutant(starts[turn % len(starts)]) for turn in turns)
        return made + [child for child in children if child]

    def offspring(self, parents: Sequence[Vector]) -> list[Vector]:
        """Mutations of the parents, then crossovers of two; fewer where few are left to find."""
        children = [
            self.mutant(parents[int(self.random.integers(len(parents)))])
            for _ in range(self.settings.mutations)
        ]
        children += [self.crossing(parents) for _ in range(self.settings.crossovers)]
        return [child for child in children if child]

    def mutant(self, parent: Vector) -> Vector | None:
        """A mutation of the parent; None when many draws give nothing new."""
        for _ in range(MUTATION_TRIES):
            child = mutate(parent, self.settings.probability, self.ceiling, self.random)
            if self.is_new(child):
                return child
        return None

    def crossing(self, parents: Sequence[Vector]) -> Vector | None:
        """A crossover of two parents, or a mutation of the better one when none is new."""
        pair = self.random.choice(len(parents), min(2, len(parents)), replace=False)
        better, other = parents[min(pair)], parents[max(pair)]
        for _ in range(CROSSOVER_TRIES):
            child = cross(better, other, self.settings.probability, self.random)
            if is_monotone(child) and self.is_new(child):
                return child
        return self.mutant(better)

    def is_new(self, child: Vector) -> bool:
        """Whether nobody made it before; from now on somebody did."""
        new = child not in self.known
        self.known.add(child)
        return new
