"""WorldKV (arXiv 2605.22718): a block-causal world model's memory, retrieved and compressed."""
