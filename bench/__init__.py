"""Numbers for docs/performance.md, each beside a yardstick run in the same minute."""
