"""The separator: songs remixed without end, its network, its training, its export."""
