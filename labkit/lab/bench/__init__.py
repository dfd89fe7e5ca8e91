"""`labkit bench`: the lab's figures, each beside the bare tool's, all within one run."""
