"""The cluster's log: what containers wrote, kept and searchable after they are gone."""
