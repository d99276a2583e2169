"""What a training run says about itself: rates, the terminal, metrics.jsonl and trackers."""

from phijax.train.metrics.meter import PHASES as PHASES
from phijax.train.metrics.meter import Meter as Meter
from phijax.train.metrics.peaks import peak_flops as peak_flops
from phijax.train.metrics.terminal import LINES as LINES
from phijax.train.metrics.writer import Writer as Writer
