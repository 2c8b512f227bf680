"""FlowLong (arXiv 2605.20910): long videos from overlapping windows that agree on the clean one."""
