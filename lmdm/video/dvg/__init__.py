"""DVG (arXiv 2605.21042): a fixed budget of tokens, spent over space and time as the video asks."""
