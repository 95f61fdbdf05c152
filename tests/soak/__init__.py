"""The soak: writes, reads and forgets from several processes while everything is killed, stopped, filled and torn,
and then compares what stands with what was acknowledged. Started by scripts/soak."""
