"""Fine-tuned members: tokens, poolings, network, training."""
