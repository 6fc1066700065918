"""How anything runs: run folders, checkpoints, averaged weights, processes."""
