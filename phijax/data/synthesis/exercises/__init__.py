"""Exercises: functions to be written from their docstrings, with solutions that were run."""

from phijax.data.synthesis.exercises.kinds import COMPLETED, KIND, Completed, Written, said

__all__ = ['COMPLETED', 'KIND', 'Completed', 'Written', 'said']
