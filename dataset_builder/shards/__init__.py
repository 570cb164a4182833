"""A dataset on disk: its layout, its shards, what its build says of it."""
