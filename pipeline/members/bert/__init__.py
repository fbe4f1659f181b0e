"""One BERT member: tokens, poolings, network, fine-tuning."""
