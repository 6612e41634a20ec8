"""Bad inputs, made and put through medgan: what docs/bad-inputs.md is written from."""
