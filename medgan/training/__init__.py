"""The loop that trains every learner, its checkpoints and alarms."""
