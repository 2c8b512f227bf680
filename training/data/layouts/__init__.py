"""How published data sets lie on disk. One module a layout: `matches` and `tracks`."""
