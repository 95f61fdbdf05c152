"""What is done to memories as time goes by: one module a task, each a function of its tiers."""
