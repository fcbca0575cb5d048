"""Models that write and criticise."""
