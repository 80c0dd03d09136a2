"""What happens next in an execution: see `taskrpc.core.flow` for the pieces, `step.advance` for the way in."""
