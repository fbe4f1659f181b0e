"""How many steps a unit takes, which is known before torch is loaded."""

import math

EPOCHS = 3.0  # passes over rows enough
LEAST_STEPS = 150  # optimizer steps that a unit takes at the least


def epochs_for(epochs: float | None, n_rows: int, batch_size: int) -> float:
    """Passes over `n_rows` training rows: as set, else three, and more where rows are few.

    A few dozen steps leave a pretrained encoder where it was; what small sets need is steps, not
    another rate (Mosbach et al. 2021, arXiv:2006.04884; Zhang et al. 2021, arXiv:2006.05987).
    """
    if epochs is not None:
        return epochs
    return max(EPOCHS, float(math.ceil(LEAST_STEPS / steps_an_epoch(n_rows, batch_size))))


def steps_an_epoch(n_rows: int, batch_size: int) -> int:
    return math.ceil(n_rows / batch_size)
